"""The source for one field adds the same attributes as its reader, and asks the reader for a value that is not common only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.field import FieldReader, field_readers
from heliograph.schema.read.generated.attributes import ATTRIBUTES, AttributeWriter
from heliograph.schema.read.generated.source import Source
from heliograph.schema.read.validation import Violation
from heliograph.values.attributes import Attributes
from schema.read.generated.generated_code import POLICY, run
from schema.typed_values import Line, Point, annotated_values


def reader_of(hint: Any) -> FieldReader:
    """Return the reader of the only field of an event class."""
    cls = dataclass(
        type("Only", (Event,), {"__annotations__": {"field": hint}, "name": "only", "__module__": __name__})
    )
    [reader] = field_readers(compile_schema(cls, namespace="app", policy=POLICY))
    return reader


def read(reader: FieldReader, value: object) -> tuple[Attributes, list[Violation], int]:
    """Return the attributes and violations by the source for a field, and the number of calls of its reader."""
    calls: list[object] = []

    def asked(attributes: Attributes, value: object, violations: list[Violation] | None) -> None:
        calls.append(value)
        reader(attributes, value, violations)

    source, violations = Source(), []  # type: ignore[var-annotated]
    lines = AttributeWriter(source, POLICY, reader.reserved, lambda _: asked).field_lines(reader, "value")
    body = [f"{ATTRIBUTES} = {{}}", *lines, f"return {ATTRIBUTES}"]
    return run(source, "value, violations", body, value, violations), violations, len(calls)


def by_reader(reader: FieldReader, value: object) -> tuple[Attributes, list[Violation]]:
    attributes: Attributes = {}
    violations: list[Violation] = []
    reader(attributes, value, violations)
    return attributes, violations


@given(annotated_values(), st.sampled_from(Privacy))
def test_source_adds_what_the_reader_adds(pair: tuple[Any, Any], privacy: Privacy) -> None:
    """The attributes have the same order and the same types, and the violations are the same."""
    hint, value = pair
    reader = reader_of(Annotated[hint, Attribute(privacy=privacy)])
    attributes, violations, calls = read(reader, value)

    assert repr((attributes, violations)) == repr(by_reader(reader, value))
    assert calls <= 1


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, "text"),
        (int | None, None),
        (list[int], [1, 2]),
        (list[list[int]], [[1], []]),
        (dict[str, Any], {"a": {"b": 1}}),
        (Point, Point(1)),
        (Line, Line(Point(1), None)),
        (int | str, "a"),
        (Any, [1, "a"]),
        *((Annotated[str, Attribute(privacy=privacy)], "a secret") for privacy in Privacy),
        (Annotated[dict[str, Any], Attribute(privacy=Privacy.MASK)], {"a": 1}),
    ],
)
def test_reader_is_not_asked_for_usual_values(hint: Any, value: object) -> None:
    """The generated code reads usual values alone: the reader of a field takes a multiple of the time."""
    reader = reader_of(hint)
    attributes, violations, calls = read(reader, value)

    assert (attributes, violations) == by_reader(reader, value)
    assert calls == 0


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, 1),
        (str, None),
        (list[int], ["a"]),
        (dict[str, int], {"a": "b"}),
        (Point, {"x": "a"}),
        (Line, Line(Point(1), None, weight=-1.0)),
        (Annotated[int, Attribute(privacy=Privacy.MASK)], "a secret"),
    ],
)
def test_reader_is_asked_once_for_any_other_value(hint: Any, value: object) -> None:
    """Whatever was added before the source found that out is taken back."""
    reader = reader_of(hint)
    attributes, violations, calls = read(reader, value)

    assert (attributes, violations) == by_reader(reader, value)
    assert violations
    assert calls == 1
