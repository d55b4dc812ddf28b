"""Whatever an event holds, its encoded properties are the bytes of its attributes."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, make_dataclass
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes import NOTHING, Shape, shapes

from heliograph import Attribute, Event
from heliograph.delivery.encoding.attributes import NotCleanError, put_attributes
from heliograph.delivery.encoding.declared import DeclaredAttributes
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.semconv import EVENT_OVERFLOW
from heliograph.tokens.events import TOKEN_EVENTS
from heliograph.values.privacy import PrivacyPolicy
from schema.typed_values import annotated_values

T = TypeVar("T")
NAMES = [name for name, _ in shapes()]
ENCODER = DeclaredAttributes()


def schema_of(*hints: Any) -> EventSchema:
    fields = [(f"field_{index}", hint) for index, hint in enumerate(hints)]
    cls = make_dataclass("ShapeEvent", fields, bases=(Event,), namespace={"name": "shape"})
    return compile_schema(cls, namespace="app", policy=PrivacyPolicy(key="key"))


def encoded(attributes: dict[str, Any]) -> list[bytes] | None:
    """Return the attributes as the logger encodes them, or `None` if they have to stay attributes."""
    key_values: list[bytes] = []
    try:
        put_attributes(key_values, attributes, only_clean=True)
    except NotCleanError:
        return None
    return None if EVENT_OVERFLOW in attributes else key_values


def assert_same(schema: EventSchema, *values: Any) -> None:
    reader, event = EventReader(schema), schema.event_class(*values)
    function = reader.encoding(ENCODER)
    assert function is not None
    for violations, others in (([], []), (None, None)):  # type: ignore[var-annotated]
        attributes = reader.attributes(event, others)
        key_values = function(event, violations)
        assert key_values == encoded(attributes)
        if key_values is not None:
            assert violations == others
            assert ENCODER.names(key_values) == list(attributes)


@pytest.mark.parametrize(("name", "shape"), shapes(), ids=NAMES)
def test_each_documented_shape(name: str, shape: Shape) -> None:
    """Good, odd and invalid values of a shape are encoded the same way, optional or not, and between two other fields."""
    hints = [int, shape.hint, list[str]]
    if "opt-in" not in name and shape.hint is not Any:
        hints.append(shape.hint | None)
    schema = schema_of(*hints)
    for value in (shape.good, shape.odd, shape.invalid, None):
        if value is not NOTHING:
            assert_same(schema, *[7, value, ["x"], value][: len(hints)])


@pytest.mark.parametrize("value", ["a", 1, "b", None])
def test_scalar_of_several_types(value: object) -> None:
    """The type of the attribute depends on the value, so its encoding is not known before."""
    assert_same(schema_of(Literal["a", 1], int), value, 1)


@given(st.lists(annotated_values(), min_size=1, max_size=4))
def test_any_event(pairs: list[tuple[Any, Any]]) -> None:
    """One odd field does not change how the others are encoded."""
    assert_same(schema_of(*(hint for hint, _ in pairs)), *(value for _, value in pairs))


@given(
    st.tuples(
        st.integers(),
        st.floats(),
        st.text(st.characters(categories=None)),
        st.booleans(),
        st.datetimes(),
        st.decimals(),
        st.uuids(),
    )
)
def test_any_scalar(values: tuple[Any, ...]) -> None:
    """Scalars of any size and sign, finite or not, and with lone surrogates are encoded the same way."""
    assert_same(SCALARS, *values)


SCALARS = schema_of(int, float, str, bool, dt.datetime, Decimal, UUID)


def test_sizes_of_texts_and_numbers() -> None:
    """Every length of a varint is tried, and more integers than are remembered."""
    schema = schema_of(int, str)
    reader = EventReader(schema)
    function = reader.encoding(ENCODER)
    assert function is not None
    for number in (*range(300), *(2**bit for bit in range(63)), *(-(2**bit) for bit in range(63)), -(2**63), 2**63 - 1):
        event = schema.event_class(number, "x" * (abs(number) % 20_000))
        assert function(event, None) == encoded(reader.attributes(event))


@dataclass
class Broken(Event):
    name = "broken"
    number: int

    def __getattribute__(self, name: str) -> Any:
        if name == "number":
            raise ValueError("no number")
        return super().__getattribute__(name)


def test_event_that_cannot_be_read() -> None:
    """The generated function returns `None`, so that the caller makes the attributes of the event."""
    function = EventReader(compile_schema(Broken, namespace="app")).encoding(ENCODER)
    assert function is not None
    assert function(Broken(3), []) is None


def test_overflow_of_several_fields_is_one_attribute() -> None:
    """An event with an overflow is not encoded field by field."""
    schema = schema_of(dict[str, Any], int)
    function = EventReader(schema).encoding(ENCODER)
    assert function is not None
    assert function(schema.event_class({"": 1}, {"": 1}), []) is None
    assert function(schema.event_class({"a": 1}, 1), []) is not None


@dataclass
class WithMessage(Event, message="{number}"):
    name = "with-message"
    number: int


@dataclass
class OfAnyClass(Event, Generic[T]):
    name = "of-any-class"
    value: T


@dataclass
class Inside(Event):
    name = "inside"
    first: Annotated[dict, Attribute("app.inside")]
    second: Annotated[dict, Attribute("app.inside.more")]


@pytest.mark.parametrize("cls", [WithMessage, OfAnyClass, Inside, *TOKEN_EVENTS[:1]])
def test_classes_whose_properties_are_needed_as_attributes(cls: type) -> None:
    """The body needs them, or the class by whose alias the event was made, or two names could be the same."""
    reader = EventReader(compile_schema(cls, namespace="app"), lambda schema, _: schema)
    assert reader.encoding(ENCODER) is None


def test_policies_that_need_attributes() -> None:
    """A policy that opts out of a name has to remove it from attributes, so there is no direct encoding."""
    cls = schema_of(int).event_class
    schema = compile_schema(cls, namespace="app", policy=PrivacyPolicy(opt_out=("app.shape.field_0",)))
    assert EventReader(schema).encoding(ENCODER) is None
