"""`streamio doctor`: is the server fit, are the groups well, and what is to be done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..keys import side_key
from .ending import CheckFailed
from .names import TOPIC
from .output import Column, Columns, emit, note, plain
from .session import Session

if TYPE_CHECKING:
    from ..observing import GroupView, Sample, TopicView
    from .findings import Finding

MOST = 1000
UNTRIMMED = 1_000_000  # entries of which none was ever removed
GLOB = re.compile(r"[*?\[\\]")
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
COLUMNS: Columns = {
    "result": Column("", plain, style=lambda result: STYLES.get(result, "")),
    "check": Column("CHECK"),
    "says": Column("FOUND"),
    "advice": Column("WHAT TO DO"),
}


@click.command()
@click.argument("topics", nargs=-1, type=TOPIC)
@click.pass_obj
def doctor(session: Session, topics: Sequence[str]) -> None:
    """Check the server, its settings, this user's rights, and the groups of TOPICS (names or patterns; default: all). Nothing is changed.

    Each finding is ok, warn or fail, with what to do. Ends with 2 where one is fail.
    """
    found = [*of_server(session, topics), *of_topics(session, topics)]
    emit([asdict(each) for each in found], COLUMNS)
    faults = sum(each.result == "fail" for each in found)
    warnings = sum(each.result == "warn" for each in found)
    if faults:
        raise CheckFailed(f"{faults} failed, {warnings} to look at, of {len(found)} checks")
    note(f"all is well: {len(found)} checks, {warnings} to look at")


def of_server(session: Session, topics: Sequence[str]) -> Iterator[Finding]:
    """What is found of the server. An error of the connection is the command's."""
    from .findings import OK, Finding, Server, distance, eviction, features, persistence, rights, role, timeouts, versions

    server = Server(session.client())
    server.ask("PING")
    server.facts = server.ask("INFO") or {}
    yield Finding("address", OK, session.shown_url)
    for check in (versions, features, role, distance, timeouts, eviction, persistence):
        yield from check(server)
    yield from rights(server, next((name for name in topics if not GLOB.search(name)), "streamio:doctor"))
    for each in server.denied:
        note(f"not asked for: {each}", verbose=True)


def of_topics(session: Session, topics: Sequence[str]) -> Iterator[Finding]:
    """What is found of the streams and their groups."""
    from redis import ResponseError

    from .findings import FAIL, OK, Finding

    try:
        sample = session.observer(topics=topics or ("*",), most=MOST).look()
        keys = beside(session, topics)
    except ResponseError as error:
        yield Finding("groups", FAIL, f"they cannot be looked at: {error}", "give the user the rights +@read +info +time +type")
        return
    found = [each for topic in sample.topics for each in of_topic(topic, topic.name in topics)] + list(of_side_streams(keys, sample))
    yield from found or [Finding("groups", OK, f"nothing is the matter with {len(sample.topics)} streams")]
    if sample.left_out:
        note(f"{sample.left_out} more streams were not looked at: give names or patterns")


def of_topic(topic: TopicView, named: bool) -> Iterator[Finding]:
    """What is the matter with a stream. Where no group reads it, that is told only where it was `named`."""
    from .findings import FAIL, WARN, Finding

    if topic.error is not None:
        yield Finding(topic.name, FAIL if named else WARN, topic.error)
    elif named and not topic.groups:
        yield Finding(topic.name, WARN, "no group reads it (NOGROUP)", f"streamio group create {topic.name} GROUP, or start a member")
    if topic.entries_added is not None and topic.length >= max(UNTRIMMED, topic.entries_added):
        yield Finding(topic.name, WARN, f"{topic.length} entries, and none was ever removed", "publish with maxlen or max_age, or `streamio trim`")
    for group in topic.groups:
        yield from of_group(group)


def of_group(group: GroupView) -> Iterator[Finding]:
    """What is the matter with a group."""
    from .findings import FAIL, WARN, Finding

    name = f"{group.topic} {group.name}"
    stale = [each.name for each in group.consumers if each.stale and each.pending]
    if group.state in ("stuck", "behind"):
        sentence, _, advice = group.diagnosis.partition(": ")
        advice += "" if group.consumers else f"; or, where it is not needed: streamio group rm {name}"
        yield Finding(name, FAIL if group.state == "stuck" else WARN, sentence, advice)
    if stale:
        advice = f"members take them over; at once: streamio consumer rm {name} {stale[0]} --to PEER"
        yield Finding(name, WARN, f"silent, with entries pending: {', '.join(stale[:5])}{' …' if len(stale) > 5 else ''}", advice)
    if group.dead:
        yield Finding(name, WARN, f"{group.dead} dead letters", f"streamio dead ls {name}")


def beside(session: Session, topics: Sequence[str]) -> list[str]:
    """The streams that there are beside the topics, too."""
    patterns = [name if GLOB.search(name) else f"{name}:*" for name in topics] or ["*"]
    return session.observer(topics=patterns).find(side_streams=True)


def of_side_streams(keys: Sequence[str], sample: Sample) -> Iterator[Finding]:
    """Dead letters of groups that are gone."""
    from .findings import WARN, Finding

    known = {side_key(topic.name, "dead", group.name) for topic in sample.topics for group in topic.groups}
    places = tuple(f"{side_key(topic.name, 'dead')}:" for topic in sample.topics)
    for key in keys:
        if key.startswith(places) and key not in known:
            yield Finding(key, WARN, "dead letters of a group that is not there (NOGROUP)", "make the group again to redrive them, or delete the key")
