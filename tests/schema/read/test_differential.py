"""Whatever an event holds, the generated function returns the attributes and violations that the fields' readers return.

The careful way is the one of `heliograph.values.forms` alone: its short cut for plain values is switched off here.
"""

from __future__ import annotations

import collections
import itertools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import NOTHING, SHAPES, Shape, Text, documented_rows, shapes

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read import field, typed_attributes
from heliograph.schema.read.event import EventReader
from heliograph.values import forms
from heliograph.values.attributes import without_opted_out
from heliograph.values.plain import NotPlain
from heliograph.values.privacy import PrivacyPolicy
from profiles import examples
from schema.typed_values import ODD, annotated_values
from values.plain_values import SCALARS

NAMES = [name for name, _ in shapes()]
POLICIES = [
    PrivacyPolicy(key="key"),
    PrivacyPolicy(),
    PrivacyPolicy(key="key", default=Privacy.MASK),
    PrivacyPolicy(key="key", opt_in=("*",), opt_out=("app.shape.field_0.sku",)),
]


def reader_of(*hints: Any, policy: PrivacyPolicy | None = None) -> EventReader:
    """Return a reader of events with a field for each hint. To make one takes longer than to read many events."""
    fields = [(f"field_{index}", hint) for index, hint in enumerate(hints)]
    cls = make_dataclass("ShapeEvent", fields, bases=(Event,), namespace={"name": "shape"})
    return EventReader(compile_schema(cls, namespace="app", policy=policy or POLICIES[0]))


@pytest.fixture(autouse=True, scope="module")
def no_time_limit() -> Iterator[None]:
    """A busy machine does not make a value too slow to read."""
    with mock.patch.object(forms, "MAX_MILLIS", 600_000.0):
        yield


@contextmanager
def no_short_cuts() -> Iterator[None]:
    """Let the readers of fields take the complete way for every value."""

    def refuse(*_: object) -> None:
        raise NotPlain

    with (
        mock.patch.object(field, "plain_form", refuse),
        mock.patch.object(typed_attributes, "put_dict_form", refuse),
    ):
        yield


def read(reader: EventReader, event: Any, *, carefully: bool = False) -> str:
    """Return the attributes with their order and types, and the violations, as text."""
    violations: list[Any] = []
    if not carefully:
        attributes = reader.attributes(event, violations)
        assert repr(attributes) == repr(reader.attributes(event, None))  # validation does not change them
    else:
        with no_short_cuts():
            attributes = without_opted_out(reader._attributes_by_field(event, violations), reader.schema.policy)
    types = [(type(value), *map(type, value if isinstance(value, list) else ())) for value in attributes.values()]
    return repr((list(attributes.items()), types, sorted(map(str, violations))))


def assert_same(reader: EventReader, event: Any) -> None:
    assert read(reader, event) == read(reader, event, carefully=True)


def values_of(shape: Shape) -> list[object]:
    return [value for value in (shape.good, shape.odd, shape.invalid) if value is not NOTHING]


def test_each_documented_row_has_shapes() -> None:
    """A new row of the table of values cannot be forgotten."""
    assert list(SHAPES) == documented_rows()


@pytest.mark.parametrize(("name", "shape"), shapes(), ids=NAMES)
def test_each_documented_shape(name: str, shape: Shape) -> None:
    """The good, odd and invalid value of a shape are read the same way, under every policy, optional or not."""
    hints = (
        (shape.hint, Any) if "opt-in" in name else (shape.hint, shape.hint | None) if shape.hint is not Any else (Any,)
    )
    for policy in POLICIES:
        reader = reader_of(*hints, policy=policy)
        for value in (*values_of(shape), None):
            assert_same(reader, reader.schema.event_class(*[value] * len(hints)))


@pytest.mark.parametrize(("name", "shape"), shapes(), ids=NAMES)
def test_values_are_good_odd_and_invalid(name: str, shape: Shape) -> None:
    """The table says what its values are."""
    reader = reader_of(shape.hint)
    for value in values_of(shape):
        violations: list[Any] = []
        reader.attributes(reader.schema.event_class(value), violations)
        assert bool(violations) == (value is shape.invalid)


def in_containers(hint: Any) -> Iterator[tuple[Any, Any]]:
    """Yield annotations with the shape inside, each with a function that puts a value into it."""
    yield list[hint], lambda value: [value, value]
    yield dict[str, hint], lambda value: {"a": value, "b": value}
    yield tuple[int, hint], lambda value: (1, value)
    yield tuple[hint, ...], lambda value: (value,)
    yield dict[str, list[hint]], lambda value: {"a": [value]}
    yield list[hint | None], lambda value: [value, None]
    yield hint | list[hint], lambda value: [value]


@pytest.mark.parametrize(("name", "shape"), shapes(), ids=NAMES)
def test_each_shape_in_containers(name: str, shape: Shape) -> None:
    """Lists, dicts, tuples and unions of a shape are read the same way, too."""
    hint = str if "opt-in" in name else shape.hint  # its attribute name can be used once
    hints, puts = zip(*in_containers(hint))
    reader = reader_of(*hints)
    for value in values_of(shape):
        assert_same(reader, reader.schema.event_class(*(put(value) for put in puts)))


@pytest.mark.parametrize(("name", "shape"), shapes(), ids=NAMES)
def test_each_shape_with_each_privacy(name: str, shape: Shape) -> None:
    """A private shape is read the same way as a whole field, and inside of a class."""
    if isinstance(getattr(shape.hint, "__metadata__", (None,))[0], Attribute):
        return
    for privacy in Privacy:
        private = Annotated[shape.hint, Attribute(privacy=privacy)]
        inner = make_dataclass("Inner", [("sku", private), ("other", shape.hint)])
        reader = reader_of(private, inner, list[inner], inner | None)
        for value in (*values_of(shape), None):
            event = reader.schema.event_class(value, inner(value, value), [inner(value, value)], inner(value, None))
            assert_same(reader, event)


@settings(max_examples=examples(200))
@given(st.lists(annotated_values(), min_size=1, max_size=4), st.sampled_from(POLICIES))
def test_any_event(pairs: list[tuple[Any, Any]], policy: PrivacyPolicy) -> None:
    """One odd field does not change how the others are read."""
    reader = reader_of(*(hint for hint, _ in pairs), policy=policy)
    assert_same(reader, reader.schema.event_class(*(value for _, value in pairs)))


@settings(max_examples=examples(200))
@given(st.data())
def test_values_of_one_shape_in_another(data: st.DataObject) -> None:
    """A field of any kind may have a value of any kind."""
    _, shape = data.draw(st.sampled_from(shapes()))
    _, other = data.draw(st.sampled_from(shapes()))
    value = data.draw(st.sampled_from(values_of(other)) | ODD)
    reader = reader_of(shape.hint)
    assert_same(reader, reader.schema.event_class(value))


@dataclass
class Pair:
    sku: object
    count: object


KEYS_OF_CONTENT = (
    st.text(st.characters(categories=None), max_size=3) | st.sampled_from(["a", "sku", "a.b"]) | st.integers(0, 2)
)
CONTENT = st.recursive(
    SCALARS | st.sampled_from([np.int64(3), np.float64("nan"), np.array([1, 2]), Text("sku"), 2**70, Decimal("1.10")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS_OF_CONTENT, inner, max_size=3)
        | st.dictionaries(KEYS_OF_CONTENT, inner, max_size=3).map(collections.UserDict)
        | st.builds(Pair, inner, inner)
        | st.builds(types.SimpleNamespace, sku=inner)
    ),
    max_leaves=12,
)
HINTS_OF_CONTENT = (
    Any, dict, dict[str, Any], dict[str, int], dict[str, str], dict[int, str], dict[str, list[int]], dict[str, Pair],
    dict[str, dict[str, int]], list, list[dict], list[Pair], list[str | None], list[list[int]], tuple[Pair, ...], range,
    int, float, str, Pair, dict[str, Any] | None, Annotated[dict, Attribute(privacy=Privacy.HASH)],
)  # fmt: skip
READER_OF_CONTENT = reader_of(*HINTS_OF_CONTENT)


@settings(max_examples=examples(150))
@given(CONTENT)
def test_any_content_in_any_place(value: object) -> None:
    """Values of any class are nested, in fields of many types. The reader remembers the keys and classes of former ones."""
    assert_same(READER_OF_CONTENT, READER_OF_CONTENT.schema.event_class(*[value] * len(HINTS_OF_CONTENT)))


@pytest.mark.parametrize("count", [63, 64, 65, 101, 9_999, 10_000, 10_001])
@pytest.mark.parametrize(
    ("hint", "make"),
    [
        (list[int], lambda count: list(range(count))),
        (list[list[int]], lambda count: [list(range(count // 2)), list(range(count // 2))]),
        (tuple[list[int], list[int]], lambda count: (list(range(count // 2)), list(range(count // 2)))),
        (Any, lambda count: list(range(count))),
        (dict[str, int], lambda count: {str(number): number for number in range(count)}),
        (dict[str, Any], lambda count: {str(number): number for number in range(count)}),
        (dict[str, Any], lambda count: {str(number): None for number in range(count)}),
        (dict[str, list[int]], lambda count: {"a": list(range(count - 1))}),
        (dict[str, Any], lambda count: {"a": {str(number): number for number in range(count)}, "b": 1}),
        (set[int], lambda count: set(range(count))),
    ],
    ids=range(10),
)
def test_limits_of_number(hint: Any, make: Any, count: int) -> None:
    """The same limits hold for the attributes of a dict, and for the values inside of one property."""
    reader = reader_of(hint)
    assert_same(reader, reader.schema.event_class(make(count)))


def nested(depth: int, container: Any) -> object:
    value: object = 1
    for _ in range(depth):
        value = container(value)
    return value


@pytest.mark.parametrize("depth", [4, 5, 6, 15, 16, 17, 31, 32, 33, 40])
@pytest.mark.parametrize("hint", [Any, dict[str, Any], dict, list, list[Any], dict[str, list[Any]]], ids=range(6))
def test_limits_of_depth(hint: Any, depth: int) -> None:
    """The same limits hold for the levels of keys, and of values inside of one another."""
    reader = reader_of(hint)
    for container in (lambda value: {"a": value}, lambda value: [value], lambda value: {"a": [value]}):
        assert_same(reader, reader.schema.event_class(nested(depth, container)))


READERS_OF_DICTS = {
    hint: reader_of(hint, Annotated[int, Attribute("app.shape.field_0.sku")])
    for hint in (dict, dict[str, int], dict[str, dict[str, int]], Any, list[dict])
}
KEYS = ["a", "", "a.b", "x" * 128, "x" * 129, "\n", "ž", "\udc80", "\\udc80", "sku", "field_1"]


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(KEYS, 2)))
def test_keys_of_dicts(first: str, second: str) -> None:
    """Keys that cannot be part of a name, that look like another, or have the name of a field."""
    flat, deep = {first: 1, second: 2}, {first: {second: 1}, second: {first: 2}}
    for hint, value in (
        (dict, flat),
        (dict[str, int], flat),
        (dict[str, dict[str, int]], deep),
        (Any, deep),
        (list[dict], [flat]),
    ):
        assert_same(READERS_OF_DICTS[hint], READERS_OF_DICTS[hint].schema.event_class(value, 7))


class Reluctant:
    """A class whose every method fails the test."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError("code of the program")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("code of the program")

    def __hash__(self) -> int:
        return hash("sku")


class ReluctantKey(str):
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        raise AssertionError("code of the program")

    def __hash__(self) -> int:
        return hash("sku")


@pytest.mark.parametrize(("name", "shape"), shapes(), ids=NAMES)
def test_no_code_of_a_class_runs(name: str, shape: Shape) -> None:
    """A class is not asked to find out if a value is common, nor is a key asked if it equals another."""
    reader = reader_of(shape.hint)
    for value in (Reluctant(), [Reluctant()], {"sku": Reluctant()}, {ReluctantKey("sku"): 1}):
        assert_same(reader, reader.schema.event_class(value))


@dataclass
class Recursive:
    sku: str
    children: list[Recursive]


@dataclass
class Untyped:
    data: Annotated[dict, Attribute(privacy=Privacy.MASK)]
    path: dict[Path, int]


Dunder: Any = make_dataclass("Dunder", [("__x", int)])

Recursive.__annotations__["children"] = list[Recursive]
Untyped.__annotations__ = {"data": Annotated[dict, Attribute(privacy=Privacy.MASK)], "path": dict[Path, int]}


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Recursive, Recursive("a", [Recursive("b", [])])),
        (list[Recursive], [Recursive("a", [])]),
        (Untyped, Untyped({"a": 1}, {Path("x"): 1})),
        (list[Untyped], [Untyped({"a": 1}, {Path("x"): 1})]),
        (dict[Path, int], {Path("x"): 1}),
        (Annotated[Any, Attribute(privacy=Privacy.MASK)], None),
        (Annotated[Any, Attribute(privacy=Privacy.HASH)], 1),
        (None, None),
        (None, 1),
        (list[None], [None]),
        (set[Any], {1, "a"}),
        (frozenset[Any], frozenset({"b", "a"})),
        (tuple[Recursive, int], (Recursive("a", []), 1)),
        (collections.deque[Recursive], collections.deque([Recursive("a", [])])),
        (Recursive | int, 1),
        (list[tuple[float, int]], [(1, 2)]),
        (tuple[float, float], (1, 2.5)),
        (list[Dunder], [Dunder(1)]),
    ],
    ids=range(18),
)
def test_types_without_a_common_case(hint: Any, value: object) -> None:
    """Values of such types are read with care, whatever is around them."""
    reader = reader_of(hint, int)
    assert_same(reader, reader.schema.event_class(value, 1))
    assert_same(reader, reader.schema.event_class("x", 1))
