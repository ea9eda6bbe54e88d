"""Typed payloads without a server: what is written, what is read, what is refused, and in whose words."""

from __future__ import annotations

import enum
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from streamio import CloudEventsCodec, Codec, FlatCodec, JSONCodec, Topic, TypedCodec
from streamio.codec import Pairs, codec_for, decoded, pairs_of, payload_of
from streamio.enveloped import EntryMessage
from streamio.items import encoded, entry, entry_of, entry_with
from streamio.message import Message, Origin
from streamio.protocol.replying import read as reply
from streamio.protocol.replying import written
from streamio.typed_entries import typed


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


class Struct(msgspec.Struct):
    customer: str
    amount: int
    placed: datetime
    day: date
    price: Decimal
    id: UUID
    colour: Colour
    size: Size
    paid: bool = False
    weight: float = 0.5
    note: str | None = None


class Model(pydantic.BaseModel):
    customer: str
    amount: int
    placed: datetime
    day: date
    price: Decimal
    id: UUID
    colour: Colour
    size: Size
    paid: bool = False
    weight: float = 0.5
    note: str | None = None


@dataclass
class Data:
    customer: str
    amount: int
    placed: datetime
    day: date
    price: Decimal
    id: UUID
    colour: Colour
    size: Size
    paid: bool = False
    weight: float = 0.5
    note: str | None = None


class Typed(TypedDict):
    customer: str
    amount: int
    placed: datetime
    day: date
    price: Decimal
    id: UUID
    colour: Colour
    size: Size
    paid: bool
    weight: float


class Line(msgspec.Struct):
    sku: str
    pieces: int


@dataclass
class Cart:
    customer: str
    lines: list[Line] = field(default_factory=list)


@dataclass
class Order:
    customer: str
    amount: int


@dataclass
class Paid:
    customer: str
    amount: int


@dataclass
class Paper:
    weight: float | None = None


@dataclass
class Checked:
    amount: Annotated[int, pydantic.Field(gt=0)]


@dataclass
class WithModel:
    order: Model


class Lax(pydantic.BaseModel):
    n: int


FIELDS: dict[str, Any] = {
    "customer": "Ådå 🎻", "amount": 12, "placed": datetime(2026, 11, 20, 10, 30, 1, 250000, tzinfo=UTC), "day": date(2026, 11, 20),
    "price": Decimal("1.10"), "id": UUID(int=5), "colour": Colour.RED, "size": Size.BIG, "paid": True, "weight": 1e-9,
}  # fmt: skip
KINDS = {"struct": Struct, "model": Model, "dataclass": Data, "typed dict": Typed}
CODECS = {"json": None, "flat": FlatCodec(), "custom": JSONCodec("body")}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def flat(words: list[bytes]) -> list[str]:
    """An entry's words as they come from the server."""
    return [word.decode("utf-8", "surrogateescape") for word in words]


def read(codec: Any, words: list[bytes]) -> Any:
    """The data of a message with these words."""
    return Message("1-1", flat(words), Origin("t", codec)).data


def there_and_back(codec: Any, data: Any, type: str = "order") -> Any:
    """The data as it is read of the entry that was written."""
    return read(codec, entry(codec, type, data, {}, {"trace": "x"}))


class Backwards:
    """A codec of a user's own: two methods, JSON-like values in one field, the wrong way round."""

    cannot_fail = False

    def encode(self, data: Any) -> list[tuple[bytes, bytes]]:
        return [(b"b", msgspec.json.encode(data)[::-1])]

    def decode(self, fields: Pairs) -> Any:
        return msgspec.json.decode(dict(fields)[b"b"][::-1])


# -- what fits ----------------------------------------------------------------------------------------------------------------------------


@each_kind
@each_codec
def test_every_kind_of_value_survives_the_round_trip(kind: Any, codec: Any) -> None:
    assert there_and_back(TypedCodec(kind, codec), kind(**FIELDS)) == kind(**FIELDS)


@each_kind
def test_a_codec_of_ones_own_is_wrapped_as_well(kind: Any) -> None:
    assert there_and_back(TypedCodec(kind, Backwards()), kind(**FIELDS)) == kind(**FIELDS)


@each_kind
def test_json_is_in_the_one_field_data_and_flat_values_have_a_field_each(kind: Any) -> None:
    words = entry(TypedCodec(kind), "order", kind(**FIELDS), {}, None)
    assert words[:3] == [b"type", b"order", b"data"] and len(words) == 4 and msgspec.json.decode(words[3])["price"] == "1.10"
    words = entry(TypedCodec(kind, FlatCodec()), "order", kind(**FIELDS), {}, None)
    values = dict(zip(words[::2], words[1::2]))
    assert (values[b"amount"], values[b"paid"], values[b"day"], values[b"colour"], values[b"size"]) == (b"12", b"true", b"2026-11-20", b"red", b"3")


@pytest.mark.parametrize("kind", [int, list[Order], Order | None, Annotated[int, msgspec.Meta(gt=0)], dict[str, Lax], list[Lax] | int])
def test_what_else_the_libraries_describe_is_a_type_too(kind: Any) -> None:
    text = b"{}" if kind == dict[str, Lax] else b"[]" if "list" in str(kind) else b"3" if "int" in str(kind) else b"null"
    data = msgspec.json.decode(text)
    assert there_and_back(TypedCodec(kind), data) == data


def test_nested_data_survives_in_json() -> None:
    assert there_and_back(TypedCodec(Cart), Cart("Ada", [Line("a", 2)])) == Cart("Ada", [Line("a", 2)])


def test_a_mapping_of_the_fields_is_published_as_it_is_and_read_as_the_class() -> None:
    for kind in (Order, Lax):
        given = {"n": 1, "more": 2} if kind is Lax else {"customer": "Ada", "amount": 1, "more": 2}
        words = entry(TypedCodec(kind), "order", None, given, None)
        assert msgspec.json.decode(words[3]) == given
        assert isinstance(read(TypedCodec(kind), words), kind)


@each_codec
def test_none_is_what_a_field_without_a_value_is_read_as(codec: Any) -> None:
    assert there_and_back(TypedCodec(Data, codec), Data(**FIELDS, note=None)).note is None


def test_a_message_is_published_on_with_its_typed_data() -> None:
    codec = TypedCodec(Order)
    words = entry_of(codec, Message("1-1", flat(entry(codec, "order", Order("Ada", 1), {}, None)), Origin("t", codec)))
    assert read(codec, words) == Order("Ada", 1)


def test_a_model_with_aliases_reads_what_it_wrote() -> None:
    class Aliased(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(populate_by_name=True)
        amount: int = pydantic.Field(alias="theAmount")

        @pydantic.computed_field  # type: ignore[prop-decorator]
        @property
        def twice(self) -> int:
            return 2 * self.amount

    words = entry(TypedCodec(Aliased), "a", Aliased(amount=2), {}, None)
    assert words[3] == b'{"theAmount":2}' and read(TypedCodec(Aliased), words) == Aliased(amount=2)


# -- what does not fit --------------------------------------------------------------------------------------------------------------------


@each_kind
@each_codec
def test_what_does_not_fit_is_an_error_that_names_the_field_and_nothing_is_written(kind: Any, codec: Any) -> None:
    given = {**FIELDS, "amount": "twelve"}
    bad = kind.model_construct(**given) if kind is Model else kind(**given)
    for each in (bad, given):
        with pytest.raises(ValueError, match="amount"):
            entry(TypedCodec(kind, codec), "order", each, {}, None)


@each_kind
def test_a_missing_field_is_named(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"no {kind.__name__}: .*amount"):
        entry(TypedCodec(kind), "order", {name: value for name, value in FIELDS.items() if name != "amount"}, {}, None)


@each_kind
def test_a_value_that_cannot_be_written_is_named(kind: Any) -> None:
    given = {**FIELDS, "weight": object()}
    with pytest.raises((TypeError, ValueError), match=f"'weight' of {kind.__name__} cannot be written"):
        entry(TypedCodec(kind), "order", kind.model_construct(**given) if kind is Model else kind(**given), {}, None)


@each_codec
def test_data_of_another_class_is_refused_though_its_fields_would_fit(codec: Any) -> None:
    with pytest.raises(TypeError, match="must be of class Order, or a mapping of its fields, not Paid"):
        entry(TypedCodec(Order, codec), "order", Paid("Ada", 1), {}, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_no_word_for_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        entry(TypedCodec(Struct), "order", Struct(**{**FIELDS, "weight": value}), {}, None)
    with pytest.raises(ValueError, match="weight"):
        entry(TypedCodec(Model), "order", Model(**{**FIELDS, "weight": value}), {}, None)


@dataclass
class Reading:
    weight: float | None = None
    note: str | None = None
    more: dict[str, list[float | None]] = field(default_factory=dict)


class ReadingModel(pydantic.BaseModel):
    weight: float | None = None
    note: str | None = None
    more: dict[str, list[float | None]] = {}


class PaperModel(pydantic.BaseModel):
    weight: float | None = None


class Spelt(ReadingModel):
    model_config = pydantic.ConfigDict(ser_json_inf_nan="strings")


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
@pytest.mark.parametrize("kind", [Reading, ReadingModel])
def test_such_a_number_is_not_made_none_where_none_has_a_place(kind: Any, value: float) -> None:
    deep = {"more": {"a": [None, value]}}
    for codec in (TypedCodec(kind), typed(kind, CloudEventsCodec("/x"))):
        for given in ({"weight": value}, kind(weight=value), deep, kind(**deep)):
            with pytest.raises(ValueError, match="nan|inf|JSON compliant") as caught:
                entry(codec, "order", given, {}, None)
            assert isinstance(codec, TypedCodec) <= ("'more.a.1' of" in str(caught.value) or "'weight' of" in str(caught.value))
    assert read(TypedCodec(kind), entry(TypedCodec(kind), "order", kind(more={"a": [None]}), {}, None)) == kind(more={"a": [None]})


def test_such_a_number_is_found_among_the_extra_fields_of_a_model() -> None:
    kind = pydantic.create_model("Open", __config__=pydantic.ConfigDict(extra="allow"), n=(int, 1))
    with pytest.raises(ValueError, match="'x' of Open .* nan"):
        entry(TypedCodec(kind), "order", kind(**{"x": float("nan")}), {}, None)


def test_a_model_whose_config_spells_such_numbers_is_written_as_it_says() -> None:
    words = entry(TypedCodec(Spelt), "order", Spelt(weight=float("inf")), {}, None)
    assert read(TypedCodec(Spelt), words) == Spelt(weight=float("inf"))


def test_flat_values_have_words_for_such_numbers_or_refuse_them() -> None:
    with pytest.raises(ValueError, match="'weight' of PaperModel"):
        entry(TypedCodec(PaperModel, FlatCodec()), "order", PaperModel(weight=float("inf")), {}, None)
    codec = TypedCodec(Paper, FlatCodec())
    assert read(codec, entry(codec, "order", Paper(float("inf")), {}, None)) == Paper(float("inf"))


def test_what_flat_values_cannot_say_is_refused_by_name() -> None:
    @dataclass
    class Unclear:
        either: int | str = 0
        maybe: int | None = 5

    codec = TypedCodec(Unclear, FlatCodec())
    assert there_and_back(codec, Unclear("word", 7)) == Unclear("word", 7)
    with pytest.raises(ValueError, match="'maybe' of Unclear: None would be read back as 5"):
        entry(codec, "a", Unclear("word", None), {}, None)
    with pytest.raises(ValueError, match="'maybe' of Unclear: None would be read back as 5"):
        entry(codec, "a", {"maybe": None}, {}, None)
    with pytest.raises(ValueError, match="'either' of Unclear: '12' would be read back as 12|'either' of Unclear: 12 would be read back as '12'"):
        entry(codec, "a", Unclear("12"), {}, None) and entry(codec, "a", Unclear(12), {}, None)
    with pytest.raises(TypeError, match="field 'lines' must be .*JSONCodec"):
        entry(TypedCodec(Cart, FlatCodec()), "a", Cart("Ada", [Line("a", 1)]), {}, None)


def test_json_is_strict_a_pydantic_model_as_its_config_says_and_flat_values_are_lax() -> None:
    def words(**fields: str) -> list[bytes]:
        return entry(JSONCodec(), "a", fields, {}, None)

    with pytest.raises(ValueError, match=r"no Order: .*\$\.amount"):
        read(TypedCodec(Order), words(customer="Ada", amount="12"))
    with pytest.raises(ValueError, match=r"no Order: .*\$\.amount"):
        read(TypedCodec(Order, Backwards()), entry(Backwards(), "a", {"customer": "Ada", "amount": "12"}, {}, None))
    assert read(TypedCodec(Lax), words(n="12")) == Lax(n=12)
    assert read(TypedCodec(Order, FlatCodec()), entry(FlatCodec(), "a", {"customer": "12", "amount": "12"}, {}, None)) == Order("12", 12)
    assert read(TypedCodec(Lax, FlatCodec()), entry(FlatCodec(), "a", {"n": "12"}, {}, None)) == Lax(n=12)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{", "no Order: Input data was truncated"), (b'{"customer":"A"}', "no Order: Object missing required field `amount`"),
        (b"\xff", "no Order: "), (b'{"customer":"\xff","amount":1}', "no Order: .*utf-8"), (b"", "no Order: "),
    ],
)  # fmt: skip
def test_what_is_read_and_does_not_fit_says_why(value: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(TypedCodec(Order), [b"type", b"a", b"data", value])
    with pytest.raises(ValueError, match=words):
        TypedCodec(Order).decode([(b"data", value)])


def test_json_that_is_too_deep_is_undecodable() -> None:
    with pytest.raises(ValueError, match="recursion"):
        read(TypedCodec(list[Any]), [b"type", b"a", b"data", b"[" * 100_000])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="cannot be written"):
        entry(TypedCodec(list[Any]), "a", endless, {}, None)


def test_a_model_says_all_that_is_wrong_and_not_what_was_in_it() -> None:
    with pytest.raises(ValueError, match="^the data is no Model: customer: Field required; amount: Input should be a valid integer") as caught:
        read(TypedCodec(Model), [b"type", b"a", b"data", b'{"amount":"secret"}'])
    assert "secret" not in str(caught.value) and "https" not in str(caught.value)


@pytest.mark.parametrize("words", [[b"type", b"a"], [b"data2", b"{}"], [b"type", b"data"], [b"a", b"data", b"type", b"b"]])
def test_an_entry_without_the_field_is_told(words: list[bytes]) -> None:
    with pytest.raises(ValueError, match="no field 'data'"):
        read(TypedCodec(Order), words)


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (FlatCodec(), ["type", "o", "", '{"customer":"Mallory","amount":1}', "customer", "Ada", "amount", "2"]),
        (None, ["data", '{"customer":"Ada","amount":2}', "data", '{"customer":"Mallory","amount":1}', "type", "o"]),
    ],
    ids=["a field without a name is not the data of flat values", "of two the first is read"],
)
def test_an_odd_entry_is_read_alike_wherever_it_is_read(inner: Any, words: list[str]) -> None:
    codec = TypedCodec(Order, inner)
    assert decoded(codec, words, "o") == codec.for_type("o").decode(payload_of(pairs_of(words))) == Order("Ada", 2)


def test_the_field_is_found_wherever_it_stands() -> None:
    good, another = b'{"customer":"Ada","amount":1}', b'{"customer":"Eve","amount":1}'
    for words in (
        [b"type", b"a", b"body", another, b"data", good],
        [b"data", good],
        [b"data", good, b"type", b"a"],
        [b"header:x", b"data", b"type", b"data", b"data", good],
        [b"x", b"data", b"data", good],
    ):
        assert read(TypedCodec(Order), words) == Order("Ada", 1)


def test_constraints_of_pydantic_hold_in_a_dataclass_too() -> None:
    with pytest.raises(ValueError, match="amount: Input should be greater than 0"):
        entry(TypedCodec(Checked), "a", Checked(0), {}, None)
    assert there_and_back(TypedCodec(WithModel), WithModel(Model(**FIELDS))) == WithModel(Model(**FIELDS))
    with pytest.raises(ValueError, match="amount"):
        read(TypedCodec(Checked), [b"data", b'{"amount":"5"}'])  # strict, as every dataclass


# -- one type for each type of entries ----------------------------------------------------------------------------------------------------

MAP = {"order.placed": Order, "order.paid": Paid, "order.*": Lax, "note": str}


def test_each_type_of_entries_has_its_own_data_exact_names_first() -> None:
    codec = TypedCodec(MAP)
    assert there_and_back(codec, Order("Ada", 1), "order.placed") == Order("Ada", 1)
    assert there_and_back(codec, Paid("Ada", 1), "order.paid") == Paid("Ada", 1)
    assert there_and_back(codec, Lax(n=1), "order.sent") == Lax(n=1)
    assert there_and_back(codec, "hello", "note") == "hello"
    with pytest.raises(TypeError, match="class Paid"):
        entry(codec, "order.paid", Order("Ada", 1), {}, None)
    assert there_and_back(TypedCodec({"order.*": Lax, "order.paid": Paid}), Paid("Ada", 1), "order.paid") == Paid("Ada", 1)


@each_codec
def test_an_entry_of_another_type_is_read_as_the_codec_inside_reads_it(codec: Any) -> None:
    plain: Any = codec or JSONCodec()
    assert read(TypedCodec(MAP, codec), entry(plain, "other", {"a": "1"}, {}, None)) == {"a": "1"}
    assert read(TypedCodec(MAP, codec), entry(plain, "", {"a": "1"}, {}, None)) == {"a": "1"}
    with pytest.raises(
        ValueError, match="type 'other' has no data declared: the topic's types are 'order.placed', 'order.paid', 'order.\\*', 'note'"
    ):
        entry(TypedCodec(MAP, codec), "other", {"a": "1"}, {}, None)


def test_the_class_of_data_says_its_type() -> None:
    class Late(Order):
        pass

    codec = TypedCodec(MAP)
    assert [codec.type_of(each) for each in (Order("a", 1), Late("a", 1), Paid("a", 1), Lax(n=1), "text", {})] == [
        "order.placed", "order.placed", "order.paid", None, None, None,
    ]  # fmt: skip
    assert entry_of(codec, Paid("Ada", 1))[1] == b"order.paid"
    assert entry_with(codec, Paid("Ada", 1), "default")[1] == b"order.paid"
    assert entry_with(codec, "hello", "note")[1] == b"note"
    words, fault = encoded(codec, [Order("Ada", 1), Paid("Ada", 2), Order("Ada", "x")])  # type: ignore[arg-type]
    assert [each[1] for each in words] == [b"order.placed", b"order.paid"] and "amount" in str(fault)
    with pytest.raises(TypeError, match="must be"):
        entry_of(TypedCodec(Order), Order("Ada", 1))
    with pytest.raises(ValueError, match="class Order may be of type 'a' or 'b'"):
        entry_of(TypedCodec({"a": Order, "b": Order}), Order("Ada", 1))


def test_types_that_producers_choose_are_not_remembered_for_ever() -> None:
    codec = TypedCodec({"a": Order})
    for number in range(3000):
        assert read(codec, [b"type", str(number).encode(), b"data", b"1"]) == 1
    assert len(codec.found) <= 1000


# -- the protocol of codecs ---------------------------------------------------------------------------------------------------------------


class ByType:
    """A codec of a user's own that is another one for each type."""

    cannot_fail = False

    def encode(self, data: Any) -> Any:
        raise AssertionError

    def decode(self, fields: Pairs) -> Any:
        raise AssertionError

    def for_type(self, type: str) -> Codec:
        return FlatCodec() if type == "flat" else JSONCodec()


def test_a_codec_of_ones_own_may_choose_by_the_type() -> None:
    assert entry(ByType(), "flat", {"a": 1}, {}, None) == [b"type", b"flat", b"a", b"1"]
    assert entry(ByType(), "other", {"a": 1}, {}, None) == [b"type", b"other", b"data", b'{"a":1}']
    assert there_and_back(ByType(), {"a": "1"}, "flat") == there_and_back(ByType(), {"a": "1"}, "other") == {"a": "1"}
    assert there_and_back(TypedCodec({"other": Order}, ByType()), Order("Ada", 1), "other") == Order("Ada", 1)


def test_a_codec_of_two_methods_goes_on_working() -> None:
    assert there_and_back(Backwards(), {"a": [1]}) == {"a": [1]}
    codec = Backwards()
    assert codec_for(codec, "any") is codec and decoded(codec, ["type", "a", "b", "1"], "a") == 1


def test_cloud_events_carry_typed_data() -> None:
    codec = typed({"order.placed": Data}, CloudEventsCodec("/orders"))
    words = entry(codec, "order.placed", Data(**FIELDS), {}, None)
    message = EntryMessage("1-1", flat(words), Origin("t", codec))
    assert (message.type, message.data, message.headers["ce_source"]) == ("order.placed", Data(**FIELDS), "/orders")
    with pytest.raises(ValueError, match="amount"):
        entry(codec, "order.placed", {**FIELDS, "amount": "x"}, {}, None)
    with pytest.raises(ValueError, match="no data declared"):
        entry(codec, "other", {}, {}, None)
    other = EntryMessage("1-1", flat([word.replace(b'"amount":12', b'"amount":"x"') for word in words]), Origin("t", codec))
    assert other.type == "order.placed"
    with pytest.raises(ValueError, match="no Data: .*amount"):
        _ = other.data


# -- what is no type, and libraries that are not there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [5, "Order", {}, {1: Order}, {"a": 5}, ["a"]])
def test_what_is_no_type_is_an_error_before_any_io(kind: Any) -> None:
    with pytest.raises(TypeError, match="type"):
        Topic("t", "redis://127.0.0.1:1", type=kind)


def test_a_typed_codec_in_a_typed_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="one of them"):
        Topic("t", "redis://127.0.0.1:1", type=Order, codec=TypedCodec(Order))


SCRIPT = """
import sys
from dataclasses import dataclass
hidden = {hidden!r}
for name in hidden:
    sys.modules[name] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in hidden else found(name, *rest)
from streamio import FlatCodec, SetupError, TypedCodec
@dataclass
class Order:
    customer: str
    amount: int
try:
    codec = TypedCodec(Order)
    print(codec.decode(codec.encode(Order("Ada", 1))), TypedCodec(Order, FlatCodec()).decode([(b"customer", b"Ada"), (b"amount", b"12")]))
    codec.decode([(b"data", b'{{"customer":"Ada","amount":"12"}}')])
except (SetupError, ValueError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "said"),
    [
        (["pydantic"], ["Order(customer='Ada', amount=1) Order(customer='Ada', amount=12)", "ValueError the data is no Order: Expected `int`"]),
        (
            ["msgspec"],
            ["Order(customer='Ada', amount=1) Order(customer='Ada', amount=12)", "ValueError the data is no Order: amount: Input should be"],
        ),
        (
            ["msgspec", "pydantic"],
            ["SetupError typed payloads (Order) need msgspec or pydantic: pip install 'streamio[msgspec]' or 'streamio[pydantic]'"],
        ),
    ],
)
def test_either_library_will_do_for_a_dataclass_and_an_absent_one_is_named(hidden: list[str], said: list[str]) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT.format(hidden=hidden)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(said) and all(line.startswith(each) for line, each in zip(lines, said)), done.stdout


def test_what_a_handler_of_a_typed_topic_returns_can_be_its_reply() -> None:
    message = Message("1-1", ["type", "a"], Origin("t", None))
    codec = TypedCodec({"a": Order, "reply": Paid})
    assert reply(codec, flat(written(codec, message, Paid("Ada", 1)))) == Paid("Ada", 1)
    for value in (Model(**FIELDS), Struct(**FIELDS), Data(**FIELDS)):
        told = reply(TypedCodec(MAP), flat(written(TypedCodec(MAP), message, [value, {"deep": value}])))
        assert told == [told[0], {"deep": told[0]}] and told[0]["price"] == "1.10" and Model(**told[0]) == Model(**FIELDS)
    assert reply(TypedCodec(Order), flat(written(TypedCodec(Order), message, "done"))) == "done"


def test_mappings_of_any_kind_are_data() -> None:
    class Frozen(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            return {"customer": "Ada", "amount": 1}[name]

        def __iter__(self) -> Any:
            return iter(("customer", "amount"))

        def __len__(self) -> int:
            return 2

    assert there_and_back(TypedCodec(Order), Frozen()) == Order("Ada", 1)
