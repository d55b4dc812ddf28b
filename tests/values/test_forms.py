"""Every Python value has one documented form, which OpenTelemetry's encoder takes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections import ChainMap, OrderedDict, UserDict, UserList
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._internal import _encode_attributes

from heliograph.values.attributes import (
    MAX_DEPTH,
    MAX_KEY_LENGTH,
    MAX_KEYS,
    Attributes,
    add_attributes,
)
from heliograph.values.forms import form_of, integer_form, number_form
from heliograph.values.text import escape_surrogates


def attributes_of(value: object, name: str = "e.p", reserved: frozenset[str] = frozenset()) -> Attributes:
    attributes: Attributes = {}
    add_attributes(attributes, name, form_of(value), reserved=reserved)
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
    ({}, "{}"),
]


@pytest.mark.parametrize(("value", "form"), FORMS, ids=lambda value: type(value).__name__)
def test_value_has_its_documented_form(value: object, form: object) -> None:
    """One attribute, in the form that the module's table gives."""
    if isinstance(form, str) and form in {"<Unknown>", "<Broken>"}:
        form = f"<{__name__}.{form[1:]}"
    attributes = attributes_of(value)

    assert attributes == {"e.p": form}
    assert type(attributes["e.p"]) is type(form)


def test_none_is_left_out_and_null_in_json() -> None:
    """`None` is no attribute; in a list, or past the bound of depth, it is `null`."""
    assert attributes_of(None) == {}
    assert attributes_of({"a": None, "b": [None]}) == {"e.p.b": "[null]"}


@pytest.mark.parametrize(
    "mapping",
    [
        {"a": 1, "b": 2},
        OrderedDict(a=1, b=2),
        UserDict(a=1, b=2),
        MappingProxyType({"a": 1, "b": 2}),
        ChainMap({"a": 1, "b": 2}),
    ],
    ids=lambda mapping: type(mapping).__name__,
)
def test_mapping_of_any_kind_is_flattened_by_key(mapping: object) -> None:
    """Each key is an attribute below the property."""
    assert attributes_of(mapping) == {"e.p.a": 1, "e.p.b": 2}


def test_objects_with_fields_are_flattened_by_field() -> None:
    """Dataclasses and structs are dicts of their fields."""
    assert attributes_of(Point(1)) == {"e.p.x": 1}
    assert attributes_of(Struct(1)) == {"e.p.x": 1}
    assert attributes_of([Point(1, 2)]) == {"e.p": '[{"x":1,"y":2}]'}
    assert attributes_of(Color.DEEP) == {"e.p.r": 1}


def test_dataclass_without_one_of_its_fields_has_the_others() -> None:
    """A field that was deleted costs no other."""
    point = Point(1, 2)
    del point.x

    assert attributes_of(point) == {"e.p.y": 2}


def test_keys_that_are_no_text_become_text() -> None:
    """A key has the form of its value, as text."""
    assert attributes_of({1: "a", None: "b", (1, 2): "c", dt.date(2026, 1, 2): "d"}) == {
        "e.p.1": "a",
        "e.p.null": "b",
        "e.p.[1,2]": "c",
        "e.p.2026-01-02": "d",
    }


def test_odd_keys_are_kept_as_json_below_the_parent() -> None:
    """A key that is empty, too long or not printable names no attribute, and is not lost."""
    long = "k" * (MAX_KEY_LENGTH + 1)
    attributes = attributes_of({"": 1, long: 2, "a\nb": 3, "\udc80": 4, "fine": 5})

    assert attributes.pop("e.p.fine") == 5
    assert attributes.pop("e.p.\\udc80") == 4
    assert json.loads(str(attributes.pop("e.p"))) == {"": 1, long: 2, "a\nb": 3}
    assert attributes == {}


def test_dict_is_flattened_to_its_bound_of_depth() -> None:
    """Past the fifth level, the rest is JSON text under its parent."""
    deep: dict[str, object] = {"leaf": 1}
    for _ in range(MAX_DEPTH):
        deep = {"d": deep}

    assert attributes_of(deep) == {"e.p.d.d.d.d.d": '{"leaf":1}'}


def test_dict_is_flattened_to_its_bound_of_keys() -> None:
    """Past the sixty-fourth key, the rest is one JSON text under the property."""
    attributes = attributes_of({f"k{index}": index for index in range(100)})

    rest = json.loads(str(attributes.pop("e.p")))
    assert len(attributes) == MAX_KEYS
    assert {**{key.removeprefix("e.p."): value for key, value in attributes.items()}, **rest} == {
        f"k{index}": index for index in range(100)
    }


def test_colliding_keys_are_both_kept() -> None:
    """Where a key with a dot and a nested key give one name, the first has it, and the second is in the JSON."""
    assert attributes_of({"a": {"b": 1}, "a.b": 2}) == {"e.p.a.b": 1, "e.p": '{"a.b":2}'}


def test_keys_with_one_text_are_told_apart_by_a_number() -> None:
    """Keys that only differ in what they are made of are each kept."""
    assert attributes_of({1: "a", "1": "b", True: "c", "true": "d"}) == {"e.p.1": "c", "e.p.1#2": "b", "e.p.true": "d"}
    assert attributes_of({"\udc80": 1, "\\udc80": 2, "\\udc80#2": 3}) == {
        "e.p.\\udc80": 1,
        "e.p.\\udc80#2": 2,
        "e.p.\\udc80#2#3": 3,
    }
    assert len(json.loads(str(attributes_of([{Unknown(): index for index in range(1000)}])["e.p"]))[0]) == 1000


def test_chosen_key_takes_no_name_of_a_field() -> None:
    """A name that belongs to a field of the event is not for a key of a dict."""
    assert attributes_of({"x": 1, "y": 2}, reserved=frozenset({"e.p.x"})) == {"e.p.y": 2, "e.p": '{"x":1}'}


def test_cycles_end() -> None:
    """A value inside itself is a word."""
    loop: list[object] = [1]
    loop.append(loop)
    table: dict[str, object] = {"n": 1}
    table["self"] = table

    assert attributes_of(loop) == {"e.p": '[1,"<cycle>"]'}
    assert attributes_of(table) == {"e.p.n": 1, "e.p.self": "<cycle>"}


def test_value_that_is_there_twice_is_no_cycle() -> None:
    """Only a value within itself is one."""
    shared = [1]

    assert attributes_of([shared, shared]) == {"e.p": "[[1],[1]]"}


def test_deep_nesting_ends() -> None:
    """Nested beyond all reason, the rest is a word, and the stack holds."""
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]

    [value] = attributes_of(deep).values()
    assert "<too deep>" in str(value)


def test_plain_runs_no_code_of_unknown_objects() -> None:
    """Neither `repr` nor `str` of an object is asked for: either may show a secret, or raise."""
    assert form_of(Unknown()) == f"<{__name__}.Unknown>"
    assert form_of(Text("x")) == "x"


def test_text_integer_and_number_are_themselves_where_they_can() -> None:
    """The scalar forms, one by one."""
    assert escape_surrogates("\ud83d") == "\\ud83d"
    assert integer_form(2**63 - 1) == 2**63 - 1
    assert number_form(0.1) == 0.1


ODD_TEXT = st.text(st.characters(categories=None), max_size=40)  # surrogates and control characters included
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
def test_any_value_becomes_attributes_that_the_real_encoder_takes(value: Any, reserved: frozenset[str]) -> None:
    """Never an exception, always legal names and values, and the same again the second time."""
    attributes = attributes_of(value, reserved=reserved)

    encoded = _encode_attributes(attributes)
    assert len(encoded or []) == len(attributes)
    for pair in encoded or []:
        assert pair.SerializeToString()
        assert pair.key == "e.p" or pair.key.startswith("e.p.")
    assert len(attributes) <= MAX_KEYS + 1
    assert repr(attributes_of(value, reserved=reserved)) == repr(attributes)


@given(
    st.dictionaries(
        ODD_TEXT, st.integers(min_value=0, max_value=9) | st.dictionaries(ODD_TEXT, st.integers(0, 9)), max_size=100
    )
)
def test_nothing_of_a_dict_is_lost(value: dict[str, Any]) -> None:
    """As many leaves leave as there were: each is an attribute, or in the JSON text of the parent."""
    attributes = attributes_of(value)

    rest = json.loads(str(attributes.pop("e.p", "{}")))
    expected = sum(len(item) or 1 if isinstance(item, dict) else 1 for item in value.values())
    assert len(attributes) + len(rest) == expected
