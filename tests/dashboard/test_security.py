"""Who may ask the dashboard for what."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from streamio.dashboard import app
from streamio.dashboard.actions import ACTIONS
from streamio.dashboard.addresses import address
from streamio.dashboard.patience import MOST, Patience
from streamio.dashboard.security import BODY
from streamio.dashboard.settings import Settings
from streamio.topic import from_url

from .site import JSON, Site

TOKEN = "a long token: ä"
PRODUCE: dict[str, Any] = {"type": "t", "fields": {"a": "1"}}


@pytest.mark.parametrize("path", sorted(ACTIONS))
def test_a_read_only_dashboard_refuses_every_action_in_the_server(reader: Site, stream: str, raw: Any, path: str) -> None:
    answer = reader.post(path, {"topic": stream, "group": "g", **PRODUCE})
    assert answer.status == 403 and "read-only" in answer.json["error"]
    assert raw.xlen(stream) == 5


def test_a_read_only_dashboard_still_updates(reader: Site, stream: str, raw: Any) -> None:
    def lengths(state: Any) -> list[int]:
        return [each["length"] for each in state["sample"]["topics"] if each["name"] == stream]

    with reader.watching() as events:
        reader.get(f"/api/history?topic={stream}")
        events.of("state", lambda state: lengths(state) == [5])
        raw.xadd(stream, {"a": 1})
        assert events.of("state", lambda state: lengths(state) == [6])["read_only"] is True


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),  # no browser
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{host}"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, True),  # the browser's own word counts
        ({"Origin": "http://{host}"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
    ],
)
def test_only_its_own_page_may_change_something(site: Site, stream: str, raw: Any, headers: dict[str, str], allowed: bool) -> None:
    given = {name: value.format(host=site.host) for name, value in headers.items()}
    answer = site.ask("POST", "/api/produce", f'{{"topic": "{stream}", "type": "t"}}', {**JSON, **given})
    assert answer.status == (200 if allowed else 403)
    assert raw.xlen(stream) == (6 if allowed else 5)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json5"])
def test_what_a_form_can_send_is_refused(site: Site, stream: str, raw: Any, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = site.ask("POST", "/api/produce", f'{{"topic": "{stream}", "type": "t"}}', headers)
    assert answer.status == 415 and raw.xlen(stream) == 5


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_guarded_too(site: Site, method: str) -> None:
    assert site.ask(method, "/api/produce", "{}", {**JSON, "Sec-Fetch-Site": "cross-site"}).status == 403
    assert site.ask(method, "/api/produce", "{}", JSON).status == 405


@pytest.mark.parametrize("body", ["", "{", "[]", '"topic"', "{" * 100_000])
def test_a_body_that_is_no_object_is_refused(site: Site, body: str) -> None:
    answer = site.ask("POST", "/api/ack", body, JSON)
    assert answer.status == 400 and answer.json["error"].startswith("the body")


def test_a_body_may_not_be_endless(site: Site) -> None:
    connection = site.connect()
    connection.putrequest("POST", "/api/produce")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    pieces = (b" " * 65536 for _ in range(BODY // 65536 + 1))
    assert site.ask("POST", "/api/produce", pieces, JSON).status == 413


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::2]"])
def test_a_foreign_host_is_refused(site: Site, host: str) -> None:
    for path in ("/", "/api/state", "/healthz", "/static/icon.svg"):
        assert site.ask("GET", path, headers={"Host": host}).status == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:99", "[::1]:8083", "LOCALHOST"])
def test_this_machine_has_several_names(site: Site, host: str) -> None:
    assert site.ask("GET", "/healthz", headers={"Host": host}).status == 200


def test_another_name_is_allowed_where_it_is_given(serve: Callable[..., Site]) -> None:
    named = serve(hosts=("streams.example",))
    assert named.ask("GET", "/healthz", headers={"Host": "streams.example:443"}).status == 200
    assert named.ask("GET", "/healthz", headers={"Host": "other.example"}).status == 400


@pytest.mark.parametrize("path", ["/", "/api/state", "/nothing", "/api/claim", "/static/icon.svg"])
def test_every_answer_carries_the_guarding_headers(site: Site, path: str) -> None:
    headers = site.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';") and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
    assert "access-control-allow-origin" not in headers and "server" not in headers


def test_each_page_has_a_nonce_of_its_own(site: Site) -> None:
    nonces = {match[1] for match in (re.search(r"'nonce-([^']+)'", site.get("/").headers["content-security-policy"]) for _ in range(3)) if match}
    assert len(nonces) == 3


def test_a_token_is_asked_for_everywhere(serve: Callable[..., Site], stream: str) -> None:
    guarded = serve(token=TOKEN, read_only=False)
    for path in ("/api/state", "/api/events", "/api/log", f"/api/export?topic={stream}", "/metrics", "/nothing"):
        answer = guarded.get(path)
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert guarded.post("/api/ack", {"topic": stream}).status == 401
    assert (guarded.get("/").status, guarded.get("/").headers["location"]) == (303, "/login")
    assert guarded.get("/api/state", Authorization="Bearer wrong").status == 401
    assert guarded.get(f"/api/state?token={TOKEN.encode().hex()}").status == 401
    assert guarded.ask("GET", "/api/state", headers={"Authorization": f"Bearer {TOKEN}".encode().decode("latin-1")}).status == 200
    assert guarded.get("/healthz").status == guarded.get("/static/icon.svg").status == 200


def test_the_form_takes_the_token_and_sets_a_cookie(serve: Callable[..., Site], stream: str) -> None:
    guarded = serve(token="open sesame", read_only=False)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    assert 'type="password"' in guarded.get("/login").text
    wrong = guarded.ask("POST", "/login", "token=open", form)
    assert wrong.status == 403 and "set-cookie" not in wrong.headers
    assert guarded.ask("POST", "/login", "token=open+sesame", {**form, "Sec-Fetch-Site": "cross-site"}).status == 403
    right = guarded.ask("POST", "/login", "token=open+sesame", form)
    assert (right.status, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "sesame" not in cookie
    shown = cookie.partition(";")[0]
    assert guarded.get("/", Cookie=shown).status == 200
    assert guarded.get("/", Cookie=f"{shown}x").status == 303
    assert guarded.post("/api/produce", {"topic": stream, "type": "t"}, Cookie=shown).status == 200
    assert guarded.get("/api/log", Cookie=shown).json["log"][0]["who"] == "token"
    assert "Max-Age=0" in guarded.ask("POST", "/logout", "", {**form, "Cookie": shown}).headers["set-cookie"]


def test_the_way_through_the_form_ends_at_the_topic_that_was_asked_for(serve: Callable[..., Site]) -> None:
    guarded = serve(token=" open sesame ")  # blanks around it are none of it
    asked = "?topic=a%26b%2F%2Fevil.example"
    assert guarded.get(f"/{asked}").headers["location"] == f"/login{asked}"
    assert f'action="/login{asked}"' in guarded.get(f"/login{asked}").text
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{guarded.host}"}
    assert guarded.ask("POST", f"/login{asked}", "token=open+sesame", form).headers["location"] == f"/{asked}"
    assert guarded.ask("POST", "/login?next=//evil.example", "token=open+sesame", form).headers["location"] == "/"


def test_wrong_tokens_are_looked_at_ever_more_slowly(serve: Callable[..., Site]) -> None:
    guarded = serve(token="open sesame")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    cookie = guarded.ask("POST", "/login", "token=open+sesame", form).headers["set-cookie"].partition(";")[0]
    for _ in range(3):
        assert guarded.get("/api/log", Authorization="Bearer x").status == 401
        assert guarded.ask("POST", "/login", "token=x", form).status == 403
    refused = guarded.get("/api/log", Authorization="Bearer open sesame")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1") and "wrong tokens" in refused.json["error"]
    assert guarded.ask("POST", "/login", "token=open+sesame", form).status == 429
    assert guarded.get("/api/log", Cookie=cookie).status == 200  # who is in stays in
    guarded.dashboard.board.patience.wrong["127.0.0.1"] = (6, 0.0)  # the time has passed
    assert guarded.get("/api/log", Authorization="Bearer open sesame").status == 200
    assert guarded.dashboard.board.patience.wrong == {}


def test_the_memory_of_wrong_tokens_has_an_end() -> None:
    patience = Patience()
    for number in range(MOST + 10):
        patience.failed(str(number))
    assert len(patience.wrong) == MOST
    for _ in range(40):
        patience.failed("here")
    assert patience.left("here") == 60 and patience.left("elsewhere") == 0


def test_without_a_token_there_is_no_form(site: Site) -> None:
    assert (site.get("/login").status, site.get("/login").headers["location"]) == (303, "/")


def test_a_token_is_never_in_what_the_server_logs(serve: Callable[..., Site], capfd: pytest.CaptureFixture[str]) -> None:
    guarded = serve(token="open sesame")
    guarded.get("/api/state?token=open+sesame", Authorization="Bearer open sesame")
    guarded.get("/api/state?token=open+sesame", Authorization="Bearer wrong sesame")
    guarded.close()
    assert "sesame" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost:6379"),
        ("redis://ada:secret@db.example:7000/3", "redis://ada:•••@db.example:7000/3"),
        ("rediss://:s%40cret@db.example", "rediss://:•••@db.example:6379"),
        ("redis://db.example?password=secret", "redis://:•••@db.example:6379"),
        ("unix:///run/redis.sock?password=secret", "unix://:•••@/run/redis.sock"),
        ("memory://somewhere", "embedded server"),
    ],
)
def test_the_servers_password_is_not_shown(url: str, shown: str) -> None:
    assert address(from_url(url, asyncio=True)) == shown


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"interval": 0}, "interval"),
        ({"token": " "}, "token"),
        ({"topics": "orders*"}, "topics"),
        ({"topics": ["[!a]*"]}, "[^…]"),
        ({"prefix": 1}, "prefix"),
        ({"lease": -1}, "lease"),
        ({"trace_url": "javascript:alert('{trace_id}')"}, "trace_url"),
        ({"trace_url": "https://traces.example/"}, "trace_url"),
        ({"topics": ()}, "topics"),
        ({"hosts": ["streams.example:80"]}, "hosts"),
        ({"hosts": ["*example"]}, "hosts"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(says)):
        app("redis://localhost", **options)


def test_a_blocking_client_is_refused() -> None:
    with pytest.raises(TypeError, match="asyncio client"):
        app(from_url("redis://localhost"))


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("shop*", "shop1", True),
        ("shop*", "xshop", False),
        ("a[^b]c", "abc", False),
        ("a[^b]c", "axc", True),
        ("a\\*", "a*", True),
        ("a\\*", "ab", False),
    ],
)
def test_globs_are_read_as_redis_reads_them(glob: str, name: str, fits: bool) -> None:
    assert Settings(topics=(glob,)).covers(name) is fits
