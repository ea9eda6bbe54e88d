"""What a payload is to be, as msgspec or pydantic describes it: to JSON and back, to plain values and back. Either is imported where it is asked for.

1. A Struct is msgspec's, a pydantic model pydantic's, and so is whatever has one in it, or a constraint of pydantic. All else (dataclasses,
   TypedDicts, lists, unions, int, ...) is msgspec's where that is installed, else pydantic's.
2. JSON is read strictly: "12" is no int. A pydantic model is as strict as its own config says.
3. Flat values, which are all str, are read laxly: "12" is an int where an int is wanted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from itertools import repeat
from math import isfinite
from typing import Any, Protocol, get_args, get_type_hints

from .codec import encoded, text
from .errors import SetupError

EXTRA = "pip install 'streamio[{}]'"


class Shape(Protocol):
    """One type of payloads. What does not fit is a ValueError in the words of the library that looked."""

    def to_json(self, data: Any) -> bytes:
        """The data as JSON."""
        ...

    def from_json(self, text: str | bytes) -> Any:
        """The data of this JSON."""
        ...

    def to_plain(self, data: Any) -> Any:
        """The data as dicts, lists, str, numbers, bool and None."""
        ...

    def from_plain(self, plain: Any, lax: bool) -> Any:
        """The data of such values; `lax`: where a str may stand for a number."""
        ...


class MsgspecShape:
    """A Struct, a dataclass, a TypedDict, and what else msgspec can describe."""

    def __init__(self, kind: Any) -> None:
        import msgspec

        self.kind, self.msgspec = kind, msgspec
        self.to_json: Any = msgspec.json.Encoder().encode
        self.from_json: Any = msgspec.json.Decoder(kind).decode
        self.to_plain: Any = msgspec.to_builtins

    def from_plain(self, plain: Any, lax: bool) -> Any:
        """The data of plain values."""
        return self.msgspec.convert(plain, self.kind, strict=not lax)


class PydanticShape:
    """A pydantic model, and what else pydantic can describe."""

    def __init__(self, kind: Any) -> None:
        import pydantic
        import pydantic_core

        self.adapter: Any = pydantic.TypeAdapter(kind)
        self.strict = None if is_model(kind) else True
        self.error, self.json = pydantic.ValidationError, pydantic_core.to_json
        self.kind = kind

    def to_json(self, data: Any) -> bytes:
        """As the type says; what is given as a mapping of a model's fields, as it is."""
        if isinstance(data, Mapping) and isinstance(self.kind, type):
            return bytes(self.json(dict(data), inf_nan_mode="null"))
        return bytes(self.adapter.dump_json(data, by_alias=True, round_trip=True, warnings=False))

    def from_json(self, text: str | bytes) -> Any:
        """The data of this JSON."""
        try:
            return self.adapter.validate_json(text, strict=self.strict)
        except self.error as error:
            raise ValueError(words_of(error)) from error

    def to_plain(self, data: Any) -> Any:
        """As `to_json`."""
        import json

        return json.loads(self.to_json(data))

    def from_plain(self, plain: Any, lax: bool) -> Any:
        """The data of plain values. (Strict pydantic takes a date, a Decimal or a UUID from JSON, and not from a str.)"""
        try:
            return self.adapter.validate_python(plain, strict=False) if lax else self.from_json(self.json(plain))
        except self.error as error:
            raise ValueError(words_of(error)) from error


def words_of(error: Any) -> str:
    """Which fields do not fit, and why; not what was in them."""
    told = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the whole'}: {each['msg']}" for each in told)


def shape_of(kind: Any) -> Shape:
    """The shape of this type; a SetupError that names the extra where its library is not there, a TypeError where neither can describe it."""
    if any(map(is_pydantic, parts_of(kind))):
        return made(PydanticShape, kind, "pydantic")
    if is_struct(kind) or find_spec("msgspec") is not None:
        return made(MsgspecShape, kind, "msgspec")
    if find_spec("pydantic") is None:
        raise SetupError(f"typed payloads ({name_of(kind)}) need msgspec or pydantic: {EXTRA.format('msgspec')} or 'streamio[pydantic]'")
    return made(PydanticShape, kind, "pydantic")


def made(shape: Any, kind: Any, extra: str) -> Shape:
    """The shape, or an error that says what is wrong with the type."""
    try:
        found: Shape = shape(kind)
    except ImportError as error:
        raise SetupError(f"typed payloads ({name_of(kind)}) need {extra}: {EXTRA.format(extra)} ({error})") from error
    except Exception as error:  # of either library, before any I/O
        raise TypeError(f"type {name_of(kind)} cannot be described by {extra}: {error}") from error
    return found


def name_of(kind: Any) -> str:
    """The type as its author would write it."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")


def is_struct(kind: Any) -> bool:
    """Whether this is a class of msgspec's."""
    return isinstance(kind, type) and hasattr(kind, "__struct_fields__")


def is_model(kind: Any) -> bool:
    """Whether this is a model or dataclass of pydantic's."""
    return isinstance(kind, type) and hasattr(kind, "__pydantic_validator__")


def has_fields(kind: Any) -> bool:
    """Whether this is a class whose instances have fields: a Struct, a model, a dataclass."""
    return is_struct(kind) or is_model(kind) or (isinstance(kind, type) and dataclasses.is_dataclass(kind))


def is_pydantic(part: Any) -> bool:
    """Whether this part of a type means something to pydantic only: a model, or a constraint (`Field(gt=0)`)."""
    return is_model(part) or type(part).__module__.split(".")[0] in ("pydantic", "annotated_types")


def parts_of(kind: Any, known: tuple[Any, ...] = ()) -> Iterator[Any]:
    """The type, and all that stands in it: arguments, annotations, the types of its fields and theirs."""
    if any(kind is each for each in known):
        return
    yield kind
    known = (*known, kind)
    inner = [*get_args(kind), *getattr(kind, "__metadata__", ())]
    if dataclasses.is_dataclass(kind):
        inner += [each.default for each in dataclasses.fields(kind)]
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "__total__")):
        inner += get_type_hints(kind, include_extras=True).values()
    for each in inner:
        yield from parts_of(each, known)


def plain_of(data: Any) -> Any:
    """The data, whatever is in it, as dicts, lists, str, numbers, bool and None."""
    try:
        import msgspec
    except ImportError:
        import pydantic_core

        return pydantic_core.to_jsonable_python(data, by_alias=True)
    return msgspec.to_builtins(data, enc_hook=dumped)


def dumped(data: Any) -> Any:
    """A pydantic model in data that msgspec writes."""
    if not is_model(type(data)):
        raise TypeError(f"{data!r} has no place in JSON")
    return plain_of(data.model_dump(by_alias=True))


def values_of(data: Any) -> Mapping[str, Any]:
    """The fields of data by name; none where it has no fields."""
    names = [*getattr(data, "__struct_fields__", ()), *getattr(data, "__dataclass_fields__", ()), *getattr(type(data), "model_fields", ())]
    names += getattr(data, "__pydantic_extra__", None) or ()
    return data if isinstance(data, Mapping) else {name: getattr(data, name, None) for name in names}


class Wanted:
    """What data is to be. `lax`: its values were flat, so that a str may stand for a number, and there is no place for None."""

    def __init__(self, kind: Any, lax: bool) -> None:
        self.shape, self.lax, self.name = shape_of(kind), lax, name_of(kind)
        self.of_class = kind if has_fields(kind) else None

    def given(self, data: Any) -> Any:
        """The data, or an error where it is of another class."""
        if isinstance(data, Mapping):
            return dict(data)
        if data is None and self.lax:
            return {}
        if self.of_class is not None and not isinstance(data, self.of_class):
            raise TypeError(f"data must be of class {self.name}, or a mapping of its fields, not {type(data).__name__}")
        return data

    def json(self, data: Any) -> bytes:
        """The data as JSON, which reads back as this type; an error that names the field where it would not."""
        text: bytes = self.written(data, self.shape.to_json)
        back = self.fitting(self.shape.from_json, text)
        if b"null" in text:
            self.check_kept(data, back)
        return text

    def plain(self, data: Any) -> Any:
        """The data as plain values, which read back as this type; an error that names the field where they would not."""
        plain = data if isinstance(data, (str, bytes)) else self.written(data, self.shape.to_plain)
        if not self.lax or not isinstance(plain, dict):
            self.check_kept(data, self.read(plain))
            return plain
        flat = {name: value for name, value in plain.items() if value is not None}
        back = self.read({name: text(encoded(value, name)) for name, value in flat.items()})
        self.check_kept(data, back)
        again = self.shape.to_plain(back)
        for name, value in plain.items():
            found = again.get(name, getattr(back, name, None))  # (msgspec 0.22 leaves out a dataclass' defaults)
            if (value is None or not isinstance(data, Mapping)) and found != value == value:
                raise ValueError(f"field {name!r} of {self.name}: {value!r} would be read back as {found!r}; use codec=JSONCodec()")
        return flat

    def read(self, plain: Any) -> Any:
        """The data of plain values."""
        return self.fitting(self.shape.from_plain, plain, self.lax)

    def check_kept(self, data: Any, back: Any) -> None:
        """Raise a ValueError that names the field where a number of the data (nan, inf) was read back as None."""
        for path, number in lost(data, back):
            field = f"field {'.'.join(path)!r} of " if path else ""
            raise ValueError(f"{field}{self.name} cannot be written: JSON has no word for {number!r}")

    def written(self, data: Any, write: Callable[[Any], Any]) -> Any:
        """What `write` makes of the data; an error that names the field which it cannot write."""
        try:
            return write(data)
        except (TypeError, ValueError, RecursionError) as error:
            field = next((f"field {name!r} of " for name, value in values_of(data).items() if not is_writable(value, write)), "")
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{field}{self.name} cannot be written: {error}") from error

    def fitting(self, read: Callable[..., Any], *given: Any) -> Any:
        """What `read` makes of it, or a ValueError that says why it is no such data."""
        try:
            return read(*given)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the data is no {self.name}: {error}") from error


def lost(data: Any, back: Any) -> Iterator[tuple[tuple[str, ...], float]]:
    """Where in the data a number stands that is none of JSON's, and None in what was read back; and the number."""
    left: list[tuple[tuple[str, ...], Any, Any]] = [((), data, back)]
    while left:
        path, value, found = left.pop()
        if isinstance(value, float):
            if found is None and not isfinite(value):
                yield path, value
        elif isinstance(value, (list, tuple, set, frozenset)):
            twins = found if isinstance(found, (list, tuple)) else repeat(None)  # (a set has another order)
            left.extend(((*path, str(place)), *pair) for place, pair in enumerate(zip(value, twins)))
        else:
            fields = values_of(found)
            left.extend(((*path, str(name)), each, fields.get(name)) for name, each in values_of(value).items())


def is_writable(value: Any, write: Callable[[Any], Any]) -> bool:
    """Whether this value alone can be written."""
    try:
        write(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
