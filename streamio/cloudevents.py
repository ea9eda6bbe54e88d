"""CloudEvents 1.0 as entries, in binary content mode. The names are those of the Kafka binding: its headers are fields here, its value is `data`.

    type            the event's type again, for consumers that know nothing of CloudEvents; not read where `ce_type` is there
    ce_specversion  1.0
    ce_id, ce_source, ce_type, ce_time, ce_subject, ce_dataschema   the attributes; `ce_` and its name for an extension
    content-type    the attribute `datacontenttype`
    header:<name>   a header that is no attribute (`traceparent` and `tracestate` plain), as in every entry
    data            the data as its content type has it; absent where there is none

Strict in what is written: names of a-z and 0-9, attribute values as the specification spells them. What is read must have the four required
attributes, each once, in UTF-8, and data that fits its content type: else it is undecodable.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from .codec import REPLY_TO, TYPE, Codec, checked_codec, header_pairs, headers_of, payload_of, text
from .envelopes import Envelope, Fields, from_json, is_whole, to_json
from .errors import Undecodable

VERSION = "1.0"
PREFIX, CONTENT_TYPE, DATA = b"ce_", b"content-type", b"data"
REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type")
FILLED = (*REQUIRED, "ce_time", "ce_subject", "ce_dataschema")  # these are not empty where they are there
NAME = r"ce_(?!(?:data|datacontenttype)\Z)[a-z0-9]+"  # (patterns are compiled when first needed: that takes longer than all else here)
TIME = r"(?ai)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
CHARSET = r"(?ai)utf[-_]?8|utf[-_]?(16|32)|utf[-_](16|32)[-_]?[bl]e|(us-)?ascii|iso[-_]?8859-1|latin-?1|(windows-|cp)125[0-8]"
CHARSETS = "UTF-8, UTF-16, UTF-32, US-ASCII, ISO-8859-1 and windows-1250 to -1258"
NO_CHARACTERS = "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
FORBIDDEN = f"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef{NO_CHARACTERS}]"
MOST = 2**31  # integers are signed, of 32 bits


class CloudEventsCodec:
    """Entries that are CloudEvents 1.0 (binary content mode): `Topic("orders", codec=CloudEventsCodec("/orders"))`.

    source         the attribute `source` of what is published here, a URI reference
    content_type   of data that comes without one, written or read
    plain          the codec for entries that are no CloudEvents (they have no field `ce_...` at all), for topics that hold both; None: such an entry
                   is undecodable

    Handlers are found by `ce_type`. Attributes are headers: `message.headers["ce_subject"]`, `publish(..., headers={"ce_subject": "A-17"})`;
    `ce_id` (a UUID), `ce_source`, `ce_time` (now) and `ce_specversion` are filled in where they are not given. Data is any JSON value where the
    header `content-type` is `application/json` (the default) or `...+json`, str where it is `text/...`, bytes else; bytes without one are
    `application/octet-stream`. None is no data.
    """

    cannot_fail = False
    own_headers = ("ce_specversion", "ce_type")  # the copy of an event has its own

    def __init__(self, source: str, *, content_type: str = "application/json", plain: Codec | None = None) -> None:
        self.source = attribute("ce_source", source)
        self.content_type = checked_content_type(content_type)
        self.plain: Any = None if plain is None else checked_codec(plain)
        if is_whole(self.plain):
            raise TypeError(f"plain must be a codec for data, as FlatCodec() or JSONCodec(), not {plain!r}")

    def write(self, type: str, data: Any, headers: Mapping[str, Any] | None) -> list[tuple[bytes, bytes]]:
        """The event's pairs."""
        attributes, content_type, others = parted(headers)
        if data is not None and content_type is None:
            content_type = "application/octet-stream" if isinstance(data, bytes) else self.content_type
        event = self.filled(type, attributes)
        first = [pair for pair in others if pair[0] == REPLY_TO.encode()]
        pairs = [*first, (TYPE, event["ce_type"].encode()), *((name.encode(), value.encode()) for name, value in event.items())]
        if content_type is not None:
            pairs.append((CONTENT_TYPE, content_type.encode()))
        pairs.extend(pair for pair in others if pair not in first)
        return pairs if data is None or content_type is None else [*pairs, (DATA, written(content_type, data))]

    def filled(self, type: str, attributes: Mapping[str, str]) -> dict[str, str]:
        """All attributes, the required ones first."""
        fixed = {"ce_specversion": VERSION, "ce_type": attribute("ce_type", type)}
        for name, value in fixed.items():
            if attributes.get(name, value) != value:
                raise ValueError(f"header {name!r} must be {value!r}, not {attributes[name]!r}")
        made = {"ce_specversion": VERSION, "ce_id": str(uuid4()), "ce_source": self.source, **fixed, "ce_time": moment(datetime.now(UTC))}
        return {**made, **attributes}

    def read(self, fields: Fields) -> Envelope:
        """The event."""
        names = [name for name, _ in fields if name.startswith(PREFIX)]
        if not names and self.plain is not None:
            return Envelope(plain_type(fields), self.plain.decode(payload_of(fields)), headers_of(fields))
        attributes = {str(text(name)): text(value) for name, value in fields if name.startswith(PREFIX) or name == CONTENT_TYPE}
        type, headers = str(attributes.get("ce_type", plain_type(fields))), {**headers_of(fields), **attributes}
        try:
            content_type = checked_content_type(attributes.get("content-type", self.content_type))
            checked_event(attributes, names)
            data = next((loaded(content_type, value) for name, value in fields if name == DATA), None)
        except ValueError as error:
            raise Undecodable(f"no CloudEvent that can be read: {error}", type, headers) from error
        return Envelope(type, data, headers)


# -- writing ------------------------------------------------------------------------------------------------------------------------------


def parted(headers: Mapping[str, Any] | None) -> tuple[dict[str, str], str | None, list[tuple[bytes, bytes]]]:
    """The attributes among these headers, the content type, and the pairs of the other ones."""
    header_pairs({name: "" for name in headers} if isinstance(headers, Mapping) else headers)  # (raises where they are no headers)
    given = dict(headers or {})
    attributes = {name: attribute(name, given.pop(name)) for name in list(given) if name.startswith("ce_")}
    content_type = given.pop("content-type", None)
    return attributes, None if content_type is None else checked_content_type(content_type), header_pairs(given)


def attribute(name: str, value: object) -> str:
    """The attribute's value as the specification spells it: str, bool, int (32 bits), bytes (base64) or an aware datetime. An error names it."""
    if not re.fullmatch(NAME, name):
        raise ValueError(f"header {name!r} is no CloudEvents attribute: 'ce_' and a name of a-z and 0-9 (of data, its type is 'content-type')")
    spelt = spelling(value)
    if spelt is None:
        raise TypeError(f"attribute {name!r} must be str, bool, int of 32 bits, bytes or an aware datetime, not {value!r}")
    if name in FILLED and not spelt:
        raise ValueError(f"attribute {name!r} must not be empty")
    if re.search(FORBIDDEN, spelt):
        raise ValueError(f"attribute {name!r} holds a control character, or one that is none: {spelt!r}")
    if name == "ce_time" and not re.fullmatch(TIME, spelt):
        raise ValueError(f"attribute 'ce_time' must be as in RFC 3339, '2026-11-20T10:00:00Z', not {spelt!r}")
    return spelt


def spelling(value: object) -> str | None:
    """The value as a string; None where it is of no type that attributes have."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() if -MOST <= value < MOST:
            return str(value)
        case bytes():
            return b64encode(value).decode()
        case datetime() if value.tzinfo is not None:
            return moment(value)
        case _:
            return None


def moment(time: datetime) -> str:
    """The time as in RFC 3339."""
    return time.isoformat().replace("+00:00", "Z")


def checked_content_type(value: object) -> str:
    """The content type; an error where it is none, or says that the event itself is in the data."""
    if not isinstance(value, str) or "/" not in value or re.search(FORBIDDEN, value):
        raise ValueError(f"content-type must be a media type such as 'application/json', not {value!r}")
    if value.strip().lower().startswith("application/cloudevents"):
        raise ValueError(f"content-type {value!r} is that of the structured mode; events are written and read in binary mode here")
    return value


def written(content_type: str, data: Any) -> bytes:
    """The data as its content type has it."""
    media, charset = parsed(content_type)
    if is_json(media):
        return to_json(data, f"data of content-type {content_type!r}")
    if isinstance(data, str) and media.startswith("text/"):
        return data.encode(charset)
    if not isinstance(data, bytes):
        raise TypeError(f"data of content-type {content_type!r} must be {'str or ' * media.startswith('text/')}bytes, not {type(data).__name__}")
    return data


# -- reading ------------------------------------------------------------------------------------------------------------------------------


def checked_event(attributes: Mapping[str, str | bytes], names: list[bytes]) -> None:
    """An error that says why these are not the attributes of an event."""
    missing = [name for name in REQUIRED if not attributes.get(name)]
    if missing:
        raise ValueError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing or empty")
    twice = sorted({str(text(name)) for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]} stands there twice")
    bad = [name for name, value in attributes.items() if isinstance(value, bytes)]
    if bad:
        raise ValueError(f"{bad[0]} is not UTF-8: {attributes[bad[0]]!r}")
    if attributes["ce_specversion"] != VERSION:
        raise ValueError(f"ce_specversion is {attributes['ce_specversion']!r}, and only {VERSION} is read")


def loaded(content_type: str, value: bytes) -> Any:
    """The data of this content type."""
    media, charset = parsed(content_type)
    if is_json(media):
        return from_json(value, f"data of content-type {content_type!r}")
    return value.decode(charset) if media.startswith("text/") else value


def parsed(content_type: str) -> tuple[str, str]:
    """The media type, and the name of its character set (UTF-8 where it has none). A ValueError where that is none of ours."""
    media, *parameters = (part.strip() for part in content_type.split(";"))
    named = {name.strip().lower(): value.strip().strip('"') for name, _, value in (each.partition("=") for each in parameters)}
    charset = named.get("charset", "utf-8")
    if not re.fullmatch(CHARSET, charset):
        raise ValueError(f"content-type {content_type!r} has an unknown charset (known are {CHARSETS})")
    return media.lower(), charset


def is_json(media: str) -> bool:
    """Whether data of this media type is JSON."""
    return media in ("application/json", "text/json") or media.endswith("+json")


def plain_type(fields: Fields) -> str:
    """The value of the field `type`; empty where there is none."""
    return next((value.decode(errors="backslashreplace") for name, value in fields if name == TYPE), "")
