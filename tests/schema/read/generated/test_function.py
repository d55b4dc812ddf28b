"""The generated function returns the same as the fallback, for every type and every value."""

from __future__ import annotations

import datetime as dt
import enum
import sys
import threading
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.validation import Violation, ViolationKind
from heliograph.values.privacy import PrivacyPolicy
from profiles import examples
from schema.typed_values import FITTING, Color, Permission, Point, Text, Word, annotated_values
from threads import join

POLICY = PrivacyPolicy(key="key")


class Options(TypedDict):
    size: int


@dataclass
class Failure(Exception):
    text: str


class SubPoint(Point):
    pass


class OwnLookup:
    """Its attributes are whatever its own code returns."""

    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)


@dataclass
class OwnPoint(OwnLookup):
    x: int


class OwnColor(OwnLookup, enum.Enum):
    RED = "red"


Large = make_dataclass("Large", [(f"field_{index}", int, index) for index in range(65)])
"""A class with more fields than can become attributes of their own."""


def event_class(*hints: Any) -> type:
    fields = [(f"field_{index}", hint) for index, hint in enumerate(hints)]
    return make_dataclass("GeneratedEvent", fields, bases=(Event,), namespace={"name": "generated"})


def by_field(schema: EventSchema, event: Any) -> tuple[dict[str, Any], list[Violation]]:
    violations: list[Violation] = []
    return EventReader(schema)._attributes_by_field(event, violations), violations


def generated(schema: EventSchema, event: Any) -> tuple[dict[str, Any], list[Violation]]:
    violations: list[Violation] = []
    return EventReader(schema).attributes(event, violations), violations


@settings(max_examples=examples(200))
@given(st.lists(annotated_values(), min_size=1, max_size=4))
def test_both_ways_return_the_same(pairs: list[tuple[Any, Any]]) -> None:
    """Attributes and violations are the same, for any class and any values."""
    cls = event_class(*(hint for hint, _ in pairs))
    schema = compile_schema(cls, namespace="app")
    event = cls(*(value for _, value in pairs))

    assert repr(sorted(generated(schema, event)[0].items())) == repr(sorted(by_field(schema, event)[0].items()))
    assert sorted(map(str, generated(schema, event)[1])) == sorted(map(str, by_field(schema, event)[1]))


@given(annotated_values(), st.sampled_from(Privacy))
def test_both_ways_protect_the_same(pair: tuple[Any, Any], privacy: Privacy) -> None:
    """Under each privacy, any value of a field is exported as the fallback exports it."""
    hint, value = pair
    cls = event_class(Annotated[hint, Attribute(privacy=privacy)])
    schema = compile_schema(cls, namespace="app", policy=POLICY)
    event = cls(value)

    assert repr(generated(schema, event)) == repr(by_field(schema, event))


@given(annotated_values())
def test_attributes_do_not_depend_on_validation(pair: tuple[Any, Any]) -> None:
    """Without a list of violations, the attributes are the same."""
    hint, value = pair
    cls = event_class(hint)
    schema = compile_schema(cls, namespace="app")

    assert repr(EventReader(schema).attributes(cls(value), None)) == repr(
        EventReader(schema).attributes(cls(value), [])
    )


@pytest.mark.parametrize(("hint", "values"), FITTING, ids=[str(hint) for hint, _ in FITTING])
def test_every_kind_of_annotation_has_a_schema(hint: Any, values: st.SearchStrategy[Any]) -> None:
    """The annotations that the other tests draw can be compiled."""
    assert compile_schema(event_class(hint), namespace="app").fields


def test_common_events_are_read_by_the_generated_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fallback, which reads field by field, is not called."""

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
    monkeypatch.setattr(EventReader, "_attributes_by_field", lambda *_: pytest.fail("the fallback was called"))
    schema = compile_schema(PlainEvent, namespace="app")

    event = PlainEvent(text="ö", inner=Inner(1), maybe=None, color=Color.RED, tags=["a"])
    assert EventReader(schema).attributes(event, []) == {
        "app.plain.text": "ö",
        "app.plain.inner.x": 1,
        "app.plain.color": "red",
        "app.plain.tags": ["a"],
    }


def test_object_without_a_common_case_is_read_by_its_field_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other fields stay in the generated function: nothing remains of what was added for the object."""

    @dataclass
    class Inner:
        day: dt.date
        anything: Any

    Inner.__annotations__ = {"day": dt.date, "anything": Any}
    cls = event_class(Inner, int)
    monkeypatch.setattr(EventReader, "_attributes_by_field", lambda *_: pytest.fail("the fallback was called"))
    schema = compile_schema(cls, namespace="app")

    assert generated(schema, cls(Inner(dt.date(2026, 1, 2), [1]), 3)) == (
        {
            "app.generated.field_0.day": "2026-01-02",
            "app.generated.field_0.anything": [1],
            "app.generated.field_1": 3,
        },
        [],
    )


def test_typed_dict_is_read_by_its_field_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """No value has it as its class, so the generated function does not test for it."""
    cls = event_class(Options, int)
    monkeypatch.setattr(EventReader, "_attributes_by_field", lambda *_: pytest.fail("the fallback was called"))

    assert generated(compile_schema(cls, namespace="app"), cls({"size": 2}, 3)) == (
        {"app.generated.field_0.size": 2, "app.generated.field_1": 3},
        [],
    )


@pytest.mark.parametrize("privacy", Privacy)
@pytest.mark.parametrize(("hint", "value"), [(Point, Point(1)), (int, 3), (str, "ö"), (list[str], ["a"]), (int, "x")])
def test_privacy_of_a_field_both_ways(privacy: Privacy, hint: Any, value: object) -> None:
    """An object is protected as a whole, not field by field."""
    cls = event_class(Annotated[hint, Attribute(privacy=privacy)])
    schema = compile_schema(cls, namespace="app", policy=POLICY)

    assert repr(generated(schema, cls(value))) == repr(by_field(schema, cls(value)))


def test_list_is_a_copy() -> None:
    """A later change of the list of an event does not change its attributes."""
    cls = event_class(list[str], list[int])
    event = cls(["a"], [1])
    attributes = EventReader(compile_schema(cls, namespace="app")).attributes(event)
    event.field_0.append("b")
    event.field_1.append(2)

    assert attributes == {"app.generated.field_0": ["a"], "app.generated.field_1": [1]}


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (float, 3, 3.0),
        (int, 3.0, 3),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (list[Point], [], "[]"),
        (int | float, 3, 3.0),
        (list[str], [], []),
    ],
)
def test_an_attribute_has_one_type(hint: Any, value: object, expected: object) -> None:
    """A backend keeps one type per attribute, so an `int` in a `float` field becomes a double."""
    cls = event_class(hint)
    violations: list[Violation] = []
    [found] = EventReader(compile_schema(cls, namespace="app")).attributes(cls(value), violations).values()

    assert (found, type(found), violations) == (expected, type(expected), [])


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (bool, 1),
        (int, True),
        (int, 2**63),
        (int, -(2**63) - 1),
        (float, float("inf")),
        (float, float("nan")),
        (list[float], [1.0, float("inf")]),
        (list[int], [1, 2**63]),
        (list[int], [1, True]),
        (list[bool], [True, 1]),
        (list[str], ["a", "\udc80"]),
        (list[str], ["a", 1]),
        (Annotated[str, msgspec.Meta(max_length=2)], "\udc80"),
        (Annotated[list[int], msgspec.Meta(min_length=1)], []),
        (Literal["a"], "b"),
        (Literal["a", 1], 1),
        (Literal[True], True),
        (Permission, Permission.READ | Permission.WRITE),
        (Permission, Permission(8)),
        (Color, "red"),
        (Word, Word.A),
        (Point, SubPoint(1)),
        (OwnPoint, OwnPoint(1)),
        (list[OwnPoint], [OwnPoint(1)]),
        (OwnColor, OwnColor.RED),
        (tuple[()], ()),
        (Failure, Failure("text")),
        (Point | None, None),
        (Point | None, SubPoint(1)),
        (int | str | None, "a"),
        (None, None),
        (str, Text("x")),
        (Large, Large()),
        (list[dict[str, OwnPoint]], [{"a": OwnPoint(1)}]),
        (dict[str, dict[str, OwnPoint]], {"a": {"b": OwnPoint(1)}}),
        (tuple[int, int], (1, 2, 3)),
        (tuple[int, list[int]], (1, list(range(9_999)))),
        (Annotated[tuple[int, int], msgspec.Meta(max_length=1)], (1, 2)),
    ],
    ids=str,
)
def test_edge_of_the_common_case(hint: Any, value: object) -> None:
    """A value that only resembles a common one is read as the fallback reads it."""
    cls = event_class(hint, int)
    schema = compile_schema(cls, namespace="app")
    event = cls(value, 1)

    attributes, violations = generated(schema, event)
    expected, expected_violations = by_field(schema, event)
    assert repr(sorted(attributes.items())) == repr(sorted(expected.items()))
    assert violations == expected_violations


def test_one_odd_value_does_not_concern_the_other_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the field of an odd value is read with care, once, and the violations of all fields are reported."""
    cls = event_class(int, list[Any], int, dict[str, int], int)
    reader = EventReader(compile_schema(cls, namespace="app"))
    monkeypatch.setattr(EventReader, "_attributes_by_field", lambda *_: pytest.fail("the fallback was called"))
    read: list[str] = []
    real = FieldReader.__call__

    def counted(self: FieldReader, *arguments: Any) -> None:
        read.append(self.field.name)
        real(self, *arguments)

    monkeypatch.setattr(FieldReader, "__call__", counted)
    violations: list[Violation] = []
    attributes = reader.attributes(cls(1, 3, "x", {"a": "b"}, 4.0), violations)

    assert read == ["field_1", "field_2", "field_3", "field_4"]
    assert violations == [
        Violation(ViolationKind.DATATYPE_MISMATCH, "field_1"),
        Violation(ViolationKind.DATATYPE_MISMATCH, "field_2"),
        Violation(ViolationKind.DATATYPE_MISMATCH, "field_3{}"),
    ]
    assert list(attributes.values()) == [1, 3, "x", "b", 4]


def test_exception_while_a_value_is_read_concerns_its_field_alone() -> None:
    """The reader of the field reads the value again; nothing of the first attempt remains."""

    @dataclass
    class Inner:
        key: str
        data: memoryview

    Inner.__annotations__ = {"key": str, "data": memoryview}
    cls = event_class(int, Inner, str)
    view = memoryview(b"a")
    view.release()  # so that msgspec raises an exception
    attributes, violations = generated(compile_schema(cls, namespace="app"), cls(1, Inner("k", view), "x"))

    assert attributes == {
        "app.generated.field_0": 1,
        "app.generated.field_1.key": "k",
        "app.generated.field_1.data": "<builtins.memoryview>",
        "app.generated.field_2": "x",
    }
    assert len(violations) == 1


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (dict[str, int], {"a": 1, "b": "x"}),
        (dict[str, Any], {"a": 1, "b": {"c": 2, "\n": 3}}),
        (dict[str, Any], {"a": 1, "b": {"c": 2}, "\n": 3}),
        (dict[str, Any], {"a": None, "": None, "b": 1}),
        (dict[str, list[int]], {"a": [1], "b": ["x"]}),
        (dict[str, dict[str, int]], {"a": {"b": 1}, "c": {"d": "x"}}),
        (dict[str, dict[str, int]], {str(outer): {str(inner): 1 for inner in range(9)} for outer in range(9)}),
        (dict[str, Any], {str(outer): {str(inner): 1 for inner in range(9)} for outer in range(9)}),
        (Any, {"a": 1, "b": {"\n": 2}}),
    ],
    ids=range(9),
)
def test_dict_that_is_not_common_is_read_anew(hint: Any, value: object) -> None:
    """The attributes of its first keys are forgotten; those of the fields before it are not."""
    cls = event_class(str, hint, int)
    schema, event = compile_schema(cls, namespace="app"), cls("x", value, 3)

    assert repr(generated(schema, event)) == repr(by_field(schema, event))


def test_event_that_cannot_be_read_is_read_field_by_field() -> None:
    """A property of the event's class may raise an exception."""
    cls = event_class(int, int)
    cls.field_0 = property(lambda self: 1 / 0, lambda self, value: None)
    attributes, violations = generated(compile_schema(cls, namespace="app"), cls(1, 2))

    assert attributes == {"app.generated.field_1": 2}
    assert list(map(str, violations)) == ["required-missing: field_0"]


@pytest.mark.parametrize(("hint", "states"), [
    (list[int], ([1, 1, 1], ["a", "a"])),
    (dict[str, int], ({"size": 1}, {"size": 1, "color": "x"})),
    (dict[str, Any], ({"size": 1}, {"size": 1, "color": "x"})),
    (Any, ([1, 1, 1], ["a", "a"])),
    (list[Point], ([Point(1)], [])),
    (Options, ({"size": 1}, {"size": 1, "color": "x"})),
], ids=range(6))  # fmt: skip
def test_container_that_another_thread_changes(hint: Any, states: tuple[Any, Any]) -> None:
    """One of the states of the container is exported, never a mixture of them."""
    cls = event_class(hint)
    reader = EventReader(compile_schema(cls, namespace="app"))
    expected = {repr(reader.attributes(cls(state))) for state in states}
    value = type(states[0])(states[0])
    is_done = threading.Event()

    def change() -> None:
        while not is_done.is_set():
            for state in states:
                _replace_all(value, state)

    thread = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        found = {repr(reader.attributes(cls(value), [])) for _ in range(300)}
    finally:
        is_done.set()
        join(thread)
        sys.setswitchinterval(interval)
    assert found <= expected


def _replace_all(value: Any, state: Any) -> None:
    """Change a container into a state in one step of the interpreter: a whole list, or one key of a dict."""
    if isinstance(value, list):
        value[:] = state
    elif "color" in state:
        value["color"] = state["color"]
    else:
        value.pop("color", None)


def test_constants_of_the_source_are_passed_by_name() -> None:
    """Nothing that a program chose is in the source, but identifiers and string literals."""
    cls = make_dataclass(
        "OddEvent",
        [("field", Annotated[str, Attribute("a.b")]), ("other", Literal["'\\n", '"""'])],
        bases=(Event,),
        namespace={"name": "odd"},
    )
    schema = compile_schema(cls, namespace="app")

    assert generated(schema, cls("x", '"""')) == ({"a.b": "x", "app.odd.other": '"""'}, [])
