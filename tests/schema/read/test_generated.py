"""The generated function says what the careful way says, for every type and every value."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, ViolationKind
from heliograph.values.privacy import PrivacyPolicy
from schema.typed_values import FITTING, Color, Point, annotated_values

POLICY = PrivacyPolicy(key="key")


def event_class(*hints: Any) -> type:
    fields = [(f"field_{index}", hint) for index, hint in enumerate(hints)]
    return make_dataclass("GeneratedEvent", fields, bases=(Event,), namespace={"name": "generated"})


def carefully(schema: EventSchema, event: Any) -> tuple[dict[str, Any], list[Violation]]:
    violations: list[Violation] = []
    return EventReader(schema)._attributes_by_field(event, violations), violations


def quickly(schema: EventSchema, event: Any) -> tuple[dict[str, Any], list[Violation]]:
    violations: list[Violation] = []
    return EventReader(schema).attributes(event, violations), violations


@settings(max_examples=500)
@given(st.lists(annotated_values(), min_size=1, max_size=4))
def test_both_ways_give_the_same(pairs: list[tuple[Any, Any]]) -> None:
    """The same attributes and the same violations, whatever the class and the values are."""
    cls = event_class(*(hint for hint, _ in pairs))
    schema = compile_schema(cls, namespace="app")
    event = cls(*(value for _, value in pairs))

    assert repr(sorted(quickly(schema, event)[0].items())) == repr(sorted(carefully(schema, event)[0].items()))
    assert sorted(map(str, quickly(schema, event)[1])) == sorted(map(str, carefully(schema, event)[1]))


@given(annotated_values(), st.sampled_from(Privacy))
def test_both_ways_protect_the_same(pair: tuple[Any, Any], privacy: Privacy) -> None:
    """A protected field has the same form both ways, too."""
    hint, value = pair
    cls = event_class(Annotated[hint, Attribute(privacy=privacy)])
    schema = compile_schema(cls, namespace="app", policy=POLICY)
    event = cls(value)

    assert repr(quickly(schema, event)) == repr(carefully(schema, event))


@given(annotated_values())
def test_what_is_not_checked_is_the_same(pair: tuple[Any, Any]) -> None:
    """Attributes do not depend on whether anybody wants to know what is wrong."""
    hint, value = pair
    cls = event_class(hint)
    schema = compile_schema(cls, namespace="app")

    assert repr(EventReader(schema).attributes(cls(value), None)) == repr(
        EventReader(schema).attributes(cls(value), [])
    )


@pytest.mark.parametrize(("hint", "values"), FITTING, ids=[str(hint) for hint, _ in FITTING])
def test_every_kind_of_annotation_has_a_schema(hint: Any, values: st.SearchStrategy[Any]) -> None:
    """What the other tests draw from compiles."""
    assert compile_schema(event_class(hint), namespace="app").fields


def test_common_events_never_take_the_careful_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event whose values are what they should be is read by the generated function alone."""

    @dataclass
    class Inner:
        x: int
        note: str | None = None

    @dataclass
    class PlainEvent(Event):
        name = "plain"
        text: str
        inner: Inner
        maybe: Inner | None
        color: Color
        tags: list[str] = field(default_factory=list)

    PlainEvent.__annotations__ |= {"inner": Inner, "maybe": Inner | None}
    monkeypatch.setattr(EventReader, "_attributes_by_field", lambda *_: pytest.fail("the careful way was taken"))
    schema = compile_schema(PlainEvent, namespace="app")

    event = PlainEvent(text="ö", inner=Inner(1), maybe=None, color=Color.RED, tags=["a"])
    assert EventReader(schema).attributes(event, []) == {
        "app.plain.text": "ö",
        "app.plain.inner.x": 1,
        "app.plain.color": "red",
        "app.plain.tags": ["a"],
    }


def test_list_is_a_copy() -> None:
    """What the event's list becomes later is not what was emitted."""
    cls = event_class(list[str], list[int])
    event = cls(["a"], [1])
    attributes = EventReader(compile_schema(cls, namespace="app")).attributes(event)
    event.field_0.append("b")
    event.field_1.append(2)

    assert attributes == {"app.generated.field_0": ["a"], "app.generated.field_1": [1]}


@pytest.mark.parametrize(
    ("hint", "value", "left"),
    [
        (float, 3, 3.0),
        (int, 3.0, 3),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (list[Point], [], "[]"),
        (int | float, 3, 3.0),
        (list[str], [], []),
    ],
)
def test_an_attribute_has_one_type(hint: Any, value: object, left: object) -> None:
    """A backend keeps one type for each name, so a number of a `float` field is a double whatever Python calls it."""
    cls = event_class(hint)
    violations: list[Violation] = []
    [found] = EventReader(compile_schema(cls, namespace="app")).attributes(cls(value), violations).values()

    assert (found, type(found), violations) == (left, type(left), [])


def test_property_that_raises_is_missing_and_nothing_else_is() -> None:
    """Reading a field may run anybody's code."""

    class Broken:
        def __get__(self, instance: object, owner: object) -> object:
            raise RuntimeError

    cls = event_class(int, str)
    cls.field_0 = Broken()  # type: ignore[attr-defined]
    event = object.__new__(cls)
    event.field_1 = "here"
    schema = compile_schema(event_class(int, str), namespace="app")

    assert quickly(schema, event) == (
        {"app.generated.field_1": "here"},
        [Violation(ViolationKind.REQUIRED_MISSING, "field_0")],
    )
