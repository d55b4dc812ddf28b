"""Every Python value has one documented form, and OpenTelemetry's encoder accepts it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid
from collections import UserList
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes

from heliograph import Attribute, Privacy
from heliograph.values import forms
from heliograph.values.attributes import (
    MAX_KEYS,
    Attributes,
    add_attributes,
)
from heliograph.values.forms import MAX_NESTING, MAX_VALUES, TOO_LARGE, TOO_SLOW, form_of, protected_form_of
from heliograph.values.privacy import PrivacyPolicy


def attributes_of(value: object, reserved: frozenset[str] = frozenset()) -> Attributes:
    attributes: Attributes = {}
    add_attributes(attributes, "e.p", form_of(value), reserved=reserved)
    return attributes


class Color(enum.Enum):
    RED = "red"
    DEEP = {"r": 1}


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no code of a value is run")


@dataclasses.dataclass
class Point:
    x: int
    y: int | None = None


class Struct(msgspec.Struct):
    x: int


class Unknown:
    def __repr__(self) -> str:
        raise RuntimeError("no code of a value is run")


class Broken(Mapping[str, object]):
    def __getitem__(self, key: str) -> object:
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return 1


class Pair(NamedTuple):
    a: int
    b: int


FORMS = [
    ("text", "text"),
    ("žluť", "žluť"),
    ("a\udc80b", "a\\udc80b"),
    (True, True),
    (7, 7),
    (-(2**63), -(2**63)),
    (2**63 - 1, 2**63 - 1),
    (2**63, "9223372036854775808"),
    (-(2**63) - 1, "-9223372036854775809"),
    (2**2000, hex(2**2000)),
    (1.5, 1.5),
    (math.nan, "NaN"),
    (math.inf, "Infinity"),
    (-math.inf, "-Infinity"),
    (dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.timezone.utc), "2026-01-02T03:04:05.000006Z"),
    (dt.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
    (dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2026-01-02T00:00:00+02:00"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (dt.time(3, 4), "03:04:00"),
    (dt.timedelta(days=1, seconds=2), "P1DT2S"),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (b"\x00\xff", "AP8="),
    (bytearray(b"a"), "YQ=="),
    (memoryview(b"a"), "YQ=="),
    (Color.RED, "red"),
    (Level.HIGH, 3),
    (Text("plain"), "plain"),
    ([1, 2], [1, 2]),
    (("a", "b"), ["a", "b"]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"b", "a"}), ["a", "b"]),
    ([], []),
    ([True, 1], "[true,1]"),
    ([1, None], "[1,null]"),
    ([1, 2.5], "[1,2.5]"),
    ([math.nan, 1.0], '["NaN",1.0]'),
    ([[1], [2]], "[[1],[2]]"),
    ([{"a": 1}], '[{"a":1}]'),
    ([2**64, 2**65], ["18446744073709551616", "36893488147419103232"]),
    (range(3), [0, 1, 2]),
    (UserList(["a"]), ["a"]),
    (Pair(1, 2), [1, 2]),
    (Unknown(), "<Unknown>"),
    (Broken(), "<Broken>"),
    (print, "<builtins.builtin_function_or_method>"),
]


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda value: type(value).__name__)
def test_value_has_its_documented_form(value: object, form: object) -> None:
    """The value is one attribute, in the form that the table of `values.forms` documents."""
    if isinstance(form, str) and form in {"<Unknown>", "<Broken>"}:
        form = f"<{__name__}.{form[1:]}"
    attributes = attributes_of(value)

    assert attributes == {"e.p": form}
    assert type(attributes["e.p"]) is type(form)


def test_dataclass_with_a_deleted_field_keeps_the_others() -> None:
    """A program may have deleted a field of an object, which then has no attribute."""
    point = Point(1, 2)
    del point.x

    assert attributes_of(point) == {"e.p.y": 2}


def test_keys_become_text() -> None:
    """A key that is not text has the form of its value, as text."""
    assert attributes_of({1: "a", None: "b", (1, 2): "c", dt.date(2026, 1, 2): "d"}) == {
        "e.p.1": "a",
        "e.p.null": "b",
        "e.p.[1,2]": "c",
        "e.p.2026-01-02": "d",
    }


def test_keys_with_the_same_text_get_a_number() -> None:
    """Different keys with the same text are all kept."""
    assert attributes_of({1: "a", "1": "b", True: "c", "true": "d"}) == {"e.p.1": "c", "e.p.1#2": "b", "e.p.true": "d"}
    assert attributes_of({"\udc80": 1, "\\udc80": 2, "\\udc80#2": 3}) == {
        "e.p.\\udc80": 1,
        "e.p.\\udc80#2": 2,
        "e.p.\\udc80#2#3": 3,
    }
    assert len(json.loads(str(attributes_of([{Unknown(): index for index in range(1000)}])["e.p"]))[0]) == 1000


def test_value_inside_of_itself_is_a_cycle() -> None:
    """A list or dict that contains itself ends with `<cycle>`."""
    loop: list[object] = [1]
    loop.append(loop)
    table: dict[str, object] = {"n": 1}
    table["self"] = table

    assert attributes_of(loop) == {"e.p": '[1,"<cycle>"]'}
    assert attributes_of(table) == {"e.p.n": 1, "e.p.self": "<cycle>"}


def test_value_that_occurs_twice_is_not_a_cycle() -> None:
    """Only a value inside of itself is a cycle."""
    shared = [1]

    assert attributes_of([shared, shared]) == {"e.p": "[[1],[1]]"}


def test_nesting_ends_at_its_bound() -> None:
    """A value nested too deeply ends with `<too deep>`, and the stack does not overflow."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]

    [value] = attributes_of(deep).values()
    assert "<too deep>" in str(value)


def test_no_code_of_unknown_objects_is_run() -> None:
    """`repr` and `str` of an object are not called: either could show a secret, or raise."""
    assert form_of(Unknown()) == f"<{__name__}.Unknown>"
    assert form_of(Text("x")) == "x"


ODD_TEXT = st.text(st.characters(categories=None), max_size=40)  # with surrogates and control characters
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**1000, max_value=2**5000),
    st.floats(),
    ODD_TEXT,
    st.binary(max_size=20),
    st.datetimes(timezones=st.none() | st.just(dt.timezone.utc)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
    st.sampled_from([Color.RED, Color.DEEP, Level.HIGH, object, print, math]),
    st.builds(Unknown),
    st.builds(Broken),
)
HASHABLE = st.one_of(st.integers(), ODD_TEXT, st.none(), st.floats(), st.tuples(ODD_TEXT))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(HASHABLE, inner, max_size=8),
        st.sets(HASHABLE, max_size=5),
        st.builds(Point, inner, inner),
    ),
    max_leaves=30,
)


@given(VALUES, st.frozensets(st.sampled_from(["e.p.a", "e.p.b", "e.p"])))
@example({"a" * 129: 1}, frozenset())
@example({"\udc80": {"\ud800": "\udfff"}}, frozenset())
def test_attributes_of_any_value_can_be_encoded(value: Any, reserved: frozenset[str]) -> None:
    """OpenTelemetry's own encoder accepts the attributes of any value, and they are the same the second time."""
    attributes = attributes_of(value, reserved=reserved)

    encoded = _encode_attributes(attributes)
    assert len(encoded or []) == len(attributes)
    for pair in encoded or []:
        assert pair.SerializeToString()
        assert pair.key in {"e.p", "heliograph.event.overflow"} or pair.key.startswith("e.p.")
    assert len(attributes) <= MAX_KEYS + 1
    assert repr(attributes_of(value, reserved=reserved)) == repr(attributes)


def test_too_many_values_end_at_their_bound() -> None:
    """The first 10,000 values are read, wherever they are nested; one `<too large>` follows, and no iterator is exhausted."""
    assert form_of(range(MAX_VALUES)) == list(range(MAX_VALUES))
    assert form_of(range(10**12)) == [*range(MAX_VALUES), TOO_LARGE]
    assert form_of({index: index for index in range(MAX_VALUES + 2)})[TOO_LARGE] is True  # type: ignore[index]
    nested = form_of([[0] * 6_000, [0] * 6_000])
    assert [len(inner) for inner in nested] == [6_000, MAX_VALUES - 6_000 - 2 + 1]  # type: ignore[attr-defined]


def test_values_up_to_the_bound_of_nesting_are_read() -> None:
    """A value inside of 32 others is `<too deep>`, one inside of 31 others is not."""

    def nested(levels: int) -> object:
        value: object = [1]
        for _ in range(levels - 1):
            value = [value]
        return value

    assert form_of(nested(MAX_NESTING)) == nested(MAX_NESTING)
    assert "<too deep>" in str(form_of(nested(MAX_NESTING + 1)))


def test_exception_of_a_value_affects_only_that_value() -> None:
    """A broken mapping inside of a list is its class name; what comes after it is not affected, cycles included."""
    broken = Broken()

    assert form_of([broken, 1, broken, [1]]) == [f"<{__name__}.Broken>", 1, f"<{__name__}.Broken>", [1]]


def test_set_is_sorted_by_its_json() -> None:
    """Equal sets have equal forms, although their items cannot be compared in Python."""
    assert form_of({"b", 1, None, ("a",)}) == form_of({None, ("a",), "b", 1}) == ["b", 1, ["a"], None]


def test_private_fields_are_reported_and_protected() -> None:
    """The second result is False as soon as one class inside of the value declares privacy."""

    @dataclasses.dataclass
    class Card:
        number: Annotated[str, Attribute(privacy=Privacy.MASK)]
        owner: Annotated[Point, Attribute(privacy=Privacy.HASH)]

    Card.__annotations__ = {
        "number": Annotated[str, Attribute(privacy=Privacy.MASK)],
        "owner": Annotated[Point, Attribute(privacy=Privacy.HASH)],
    }
    policy = PrivacyPolicy(key="key")
    card = Card("4711", Point(1))

    assert protected_form_of([Point(1)], policy) == ([{"x": 1, "y": None}], True)
    expected = {"number": "<masked>", "owner": policy.hash_form({"x": 1, "y": None})}
    assert protected_form_of([card, Point(1)], policy) == ([expected, {"x": 1, "y": None}], False)
    assert form_of(card) == {"number": "4711", "owner": {"x": 1, "y": None}}


def test_hash_covers_private_fields_inside() -> None:
    """Values that differ only in a masked field have different hashes."""

    @dataclasses.dataclass
    class Inner:
        secret: Any

    @dataclasses.dataclass
    class Outer:
        inner: Any
        after: Any

    Inner.__annotations__ = {"secret": Annotated[str, Attribute(privacy=Privacy.MASK)]}
    Outer.__annotations__ = {"inner": Annotated[Inner, Attribute(privacy=Privacy.HASH)], "after": Any}
    policy = PrivacyPolicy(key="key")

    forms = [protected_form_of(Outer(Inner(secret), Inner("x")), policy)[0] for secret in ("a", "b", "a")]
    assert forms[0] == forms[2] != forms[1]
    assert forms[0]["after"] == {"secret": "<masked>"}  # type: ignore[index]  # the policy applies again after the hash


def test_conversions_end_when_their_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that need no conversion are still exported."""
    monkeypatch.setattr(forms, "MAX_MILLIS", -1)

    assert form_of([1, pathlib.Path("a"), {"a": "b"}]) == [1, TOO_SLOW, {"a": "b"}]
