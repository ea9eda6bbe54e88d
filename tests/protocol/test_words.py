"""The nouns and the grammar, without any server: ids, positions, keys, retry, retention, codecs."""

from __future__ import annotations

import itertools
import string
from datetime import UTC, datetime, timedelta

import pytest
from redis.crc import key_slot

from streamio import FlatCodec, JSONCodec, RetryPolicy
from streamio.codec import header_pairs, headers_of, payload_of, wire
from streamio.ids import FIRST, LAST, NEW, after, position, published_at, seconds, split
from streamio.keys import checked, escape, side_key, slot, tag
from streamio.retention import Retention

TOPICS = ["orders", "orders:{eu}", "{eu}:orders", "{a}{b}", "a}b", "a{}b", "{}orders", "{", "a{b", "{{a}}", "ö{ü}"]
NAMES = ["billing", "a:b", "a", "b", "dead", "dead:g", "{eu}", "%3A", ":", "~waiting", "ü", "{a}:dead:b", " "]


# -- ids and positions --------------------------------------------------------------------------------------------------------------


def test_an_id_without_sequence_begins_its_millisecond() -> None:
    assert split("5") == (5, 0)
    assert split("5-7") == (5, 7)


def test_the_id_after_the_last_of_a_millisecond_is_in_the_next() -> None:
    assert after("5-7") == "5-8"
    assert after("5-18446744073709551615") == "6-0"


def test_an_id_tells_when_it_was_published() -> None:
    assert published_at("1500-3") == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


def test_an_id_beyond_the_calendar_is_the_last_moment_of_it() -> None:
    assert published_at("18446744073709551615-0").year == 9999


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("5-1", "5-1"),
        ("5", "5"),
        ("(5-1", "(5-1"),
        (5, "5"),
        (0, "0"),
        (FIRST, "-"),
        (LAST, "+"),
        (datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), "2000"),
        (datetime.fromtimestamp(2), "2000"),
        (datetime(1960, 1, 1, tzinfo=UTC), "0"),
        (timedelta(seconds=3), "7000"),
        (timedelta(days=1), "0"),
    ],
)
def test_a_position_is_an_id_a_datetime_or_so_long_ago(value: object, written: str) -> None:
    assert position(value, 10_000, "start") == written  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "x", "5-", "-5", "5-1-1", "5-x", "((5", None, True, -1, 1.5, b"5", [], "$", ">", "٣"])
def test_what_is_no_position_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"^end must be"):
        position(value, 0, "end")  # type: ignore[arg-type]


def test_special_ids_are_taken_only_where_they_mean_something() -> None:
    assert position("$", 0, "start", (NEW,)) == "$"
    with pytest.raises(ValueError, match="start"):
        position("+", 0, "start", (FIRST, NEW))


@pytest.mark.parametrize(("value", "came"), [(0, 0.0), (1, 1.0), (0.5, 0.5), (timedelta(minutes=1), 60.0)])
def test_a_duration_is_seconds_or_a_timedelta(value: object, came: float) -> None:
    assert seconds(value, "lease") == came  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), timedelta(seconds=-1)])
def test_a_duration_that_is_none_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match="lease"):
        seconds(value, "lease")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["5", None, True, b"5", [1]])
def test_a_duration_of_another_type_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="lease"):
        seconds(value, "lease")  # type: ignore[arg-type]


# -- keys ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("kind", ["dead", "slots"])
def test_a_side_key_shares_the_slot_of_its_topic(topic: str, kind: str) -> None:
    for name in NAMES[:3]:
        key = side_key(topic, kind, name)
        assert key_slot(key.encode()) == key_slot(topic.encode())
        assert key.startswith(topic)


@pytest.mark.parametrize("topic", TOPICS)
def test_our_slot_is_the_servers_slot(topic: str) -> None:
    assert slot(topic) == key_slot(topic.encode())


def test_side_keys_look_as_the_wire_format_says() -> None:
    assert side_key("orders:{eu}", "dead", "billing") == "orders:{eu}:dead:billing"
    assert side_key("orders", "dead", "billing") == "orders:dead:{orders}:billing"
    assert side_key("a{}b", "dead", "g") == "a{}b:dead:{" + tag_number("a{}b") + "}:g"


def tag_number(topic: str) -> str:
    """The number that stands in a searched side key."""
    return side_key(topic, "dead", "g").removeprefix(f"{topic}:dead:{{").partition("}")[0]


def test_no_two_pairs_of_topic_and_group_share_a_side_key() -> None:
    letters = ["a", ":", "{a}", ":dead", ":{a}"]
    topics = ["".join(parts) for n in (1, 2, 3) for parts in itertools.product(letters, repeat=n)]
    groups = [*NAMES, "a:dead:{a}:b", "dead:{a}:b", "dead%3Ag"]
    found: dict[str, tuple[str, str, str]] = {}
    for topic, kind, group in itertools.product(dict.fromkeys(topics), ("dead", "slots"), groups):
        key = side_key(topic, kind, group)
        assert found.setdefault(key, (topic, kind, group)) == (topic, kind, group)


def test_names_in_keys_are_percent_encoded() -> None:
    assert escape("a:b{c}~%") == "a%3Ab%7Bc%7D%7E%25"
    assert escape(string.ascii_letters + "-_. ü") == string.ascii_letters + "-_. ü"


def test_the_tag_is_what_stands_in_the_first_braces_or_everything() -> None:
    assert [tag(key) for key in ("a", "{a}b", "{a}{b}", "{}a", "a}b{c}", "a{b")] == ["a", "a", "a", "{}a", "c", "a{b"]


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (None, TypeError), (b"x", TypeError), (5, TypeError), ("\ud800", ValueError)])
def test_a_name_that_cannot_be_one_is_refused(name: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="group name"):
        checked(name, "group name")  # type: ignore[arg-type]


def test_a_name_of_more_than_64_kilobytes_is_refused() -> None:
    assert checked("x" * 65536, "topic name")
    with pytest.raises(ValueError, match="65537 bytes"):
        checked("x" * 65537, "topic name")


# -- retry --------------------------------------------------------------------------------------------------------------------------


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(max_deliveries=10, backoff=(1, 5), jitter=0)
    assert [policy.wait(None, n, 0.5) for n in (1, 2, 3, 4, 9)] == [1, 2, 4, 5, 5]


def test_the_last_delivery_is_followed_by_none() -> None:
    policy = RetryPolicy(max_deliveries=3)
    assert policy.wait(ValueError(), 2, 0.5) is not None
    assert policy.wait(ValueError(), 3, 0.5) is None
    assert policy.wait(ValueError(), 4, 0.5) is None


def test_jitter_only_shortens_a_wait() -> None:
    policy = RetryPolicy(backoff=(4, 60), jitter=0.25)
    assert policy.wait(None, 1, 0.0) == 4
    assert policy.wait(None, 1, 1.0) == 3


def test_an_error_that_is_not_worth_a_retry_is_buried_at_once() -> None:
    policy = RetryPolicy(retry_on=(OSError, ValueError))
    assert policy.wait(KeyError(), 1, 0.5) is None
    assert policy.wait(UnicodeError(), 1, 0.5) is not None


def test_a_huge_number_of_deliveries_does_not_overflow() -> None:
    assert RetryPolicy(max_deliveries=10**9, jitter=0).wait(None, 10**6, 0.5) == 60


def test_timedeltas_are_waits_too() -> None:
    assert RetryPolicy(backoff=(timedelta(seconds=2), timedelta(minutes=1)), jitter=0).wait(None, 1, 0) == 2


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"max_deliveries": 0}, "max_deliveries"),
        ({"max_deliveries": 1.5}, "max_deliveries"),
        ({"max_deliveries": True}, "max_deliveries"),
        ({"backoff": (5, 1)}, "backoff"),
        ({"backoff": (-1, 1)}, "backoff"),
        ({"backoff": 5}, "backoff"),
        ({"backoff": (1,)}, "backoff"),
        ({"backoff": ("1", 2)}, "backoff"),
        ({"jitter": 2}, "jitter"),
        ({"jitter": "x"}, "jitter"),
        ({"retry_on": "ValueError"}, "retry_on"),
        ({"retry_on": [ValueError]}, "retry_on"),
    ],
)
def test_a_retry_policy_that_makes_no_sense_is_refused_by_name(settings: dict[str, object], name: str) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        RetryPolicy(**settings)  # type: ignore[arg-type]


# -- retention ----------------------------------------------------------------------------------------------------------------------


def test_retention_is_by_length_or_by_age() -> None:
    assert Retention.of(None, None).words(5000) == ()
    assert Retention.of(10, None).words(5000) == ("MAXLEN", "~", "10")
    assert Retention.of(None, 2).words(5000) == ("MINID", "~", "3000")
    assert Retention.of(None, timedelta(hours=1)).words(5000) == ("MINID", "~", "0")


def test_length_and_age_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"maxlen and max_age"):
        Retention.of(1, 1)


@pytest.mark.parametrize("maxlen", [-1, 1.5, "5", True])
def test_a_maxlen_that_is_none_is_refused(maxlen: object) -> None:
    with pytest.raises(ValueError, match="maxlen"):
        Retention.of(maxlen, None)  # type: ignore[arg-type]


# -- codecs -------------------------------------------------------------------------------------------------------------------------


def test_flat_data_is_one_field_each() -> None:
    data = {"s": "ü", "i": 1, "f": 1.5, "t": True, "n": False, "b": b"\xff\x00", b"k\xff": "v"}
    rows = [(b"s", "ü".encode()), (b"i", b"1"), (b"f", b"1.5"), (b"t", b"true"), (b"n", b"false"), (b"b", b"\xff\x00"), (b"k\xff", b"v")]
    assert FlatCodec().encode(data) == rows
    assert FlatCodec().decode(rows) == {"s": "ü", "i": "1", "f": "1.5", "t": "true", "n": "false", "b": b"\xff\x00", b"k\xff": "v"}


def test_what_the_flat_codec_reads_it_can_write_byte_for_byte() -> None:
    rows = [(b"a", b"\xc3\x28"), (b"\xff", b"\xed\xa0\x80"), (b"", b"")]
    assert FlatCodec().encode(FlatCodec().decode(rows)) == rows


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, (1,), {1}, object(), 1j])
def test_a_value_that_is_not_flat_is_refused_by_field(value: object) -> None:
    with pytest.raises(TypeError, match="'amount'"):
        FlatCodec().encode({"ok": 1, "amount": value})


def test_a_lone_surrogate_is_refused_by_field() -> None:
    with pytest.raises(ValueError, match=r"'name'.*surrogate"):
        FlatCodec().encode({"name": "\udcff"})
    with pytest.raises(ValueError, match="surrogate"):
        FlatCodec().encode({"\udcff": "x"})


@pytest.mark.parametrize("name", ["type", "traceparent", "tracestate", "header:x", "header:", b"type"])
def test_a_field_in_the_place_of_type_or_header_is_refused_by_name(name: object) -> None:
    with pytest.raises(ValueError, match=f"field {name!r} cannot"):
        FlatCodec().encode({name: "x"})


@pytest.mark.parametrize("data", ["text", [("a", 1)], 5, b"x"])
def test_flat_data_must_be_a_mapping(data: object) -> None:
    with pytest.raises(TypeError, match="mapping"):
        FlatCodec().encode(data)


@pytest.mark.parametrize("data", [{"a": [1, {"b": None}]}, [], None, "ü", 1.5, True])
def test_json_takes_any_nesting(data: object) -> None:
    codec = JSONCodec()
    assert codec.decode(list(codec.encode(data))) == data


@pytest.mark.parametrize("data", [{"a": object()}, {"a": {1}}, float("nan"), {"a": float("inf")}, b"x"])
def test_what_is_no_json_is_refused(data: object) -> None:
    with pytest.raises((TypeError, ValueError), match="'data'"):
        JSONCodec().encode(data)


@pytest.mark.parametrize("fields", [[], [(b"other", b"1")], [(b"data", b"{")], [(b"data", b"\xff")], [(b"data", b"")], [(b"data", b"[" * 100_000)]])
def test_json_that_does_not_decode_is_a_value_error(fields: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ValueError, match="'data'"):
        JSONCodec().decode(fields)


def test_the_json_field_has_a_name_of_its_own() -> None:
    assert JSONCodec("body").encode([1]) == [(b"body", b"[1]")]
    with pytest.raises(ValueError, match="header:x"):
        JSONCodec("header:x")


def test_headers_stand_apart_from_data() -> None:
    words = wire(FlatCodec(), "t", {"a": 1}, {"x": "1", "traceparent": "00-1", "tracestate": "s"})
    rows = list(zip(words[::2], words[1::2], strict=True))
    assert rows == [(b"type", b"t"), (b"header:x", b"1"), (b"traceparent", b"00-1"), (b"tracestate", b"s"), (b"a", b"1")]
    assert payload_of(rows) == [(b"a", b"1")]
    assert headers_of(rows) == {"x": "1", "traceparent": "00-1", "tracestate": "s"}


@pytest.mark.parametrize("headers", [{"": 1}, {1: 1}, {b"x": 1}, {"x": None}, {"x": [1]}, {"x": "\ud800"}, {"\ud800": 1}])
def test_a_bad_header_is_refused(headers: dict[object, object]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"header|surrogate"):
        header_pairs(headers)  # type: ignore[arg-type]


def test_a_batch_is_sent_in_parts_of_a_megabyte() -> None:
    from streamio.protocol.publishing import BATCH_BYTES, parted

    small, large = [b"a" * 1000] * 2, [b"b" * (2 * BATCH_BYTES)]
    assert [len(part) for part in parted([small] * 600)] == [500, 100]
    assert [len(part) for part in parted([small, large, small, small])] == [1, 1, 2]
    assert parted([]) == []
