"""Attributes whose names are known have the same bytes as all others."""

from __future__ import annotations

import math

import pytest

from heliograph.delivery.encoding.attributes import NotCleanError, put_attributes
from heliograph.delivery.encoding.declared import DeclaredAttributes
from heliograph.semconv import EVENT_OVERFLOW

ENCODER = DeclaredAttributes()
NAME = "app.order.total"


def encoded(name: str, value: object) -> bytes:
    key_values: list[bytes] = []
    put_attributes(key_values, {name: value})
    [key_value] = key_values
    return key_value


@pytest.mark.parametrize("text", ["", "a", "ä" * 100, "x" * 10_000])
def test_text(text: str) -> None:
    data = text.encode()
    assert ENCODER.texts(NAME)[len(data)] + data == encoded(NAME, text)


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_integer(number: int) -> None:
    assert ENCODER.integers(NAME)[number] == encoded(NAME, number)


@pytest.mark.parametrize("number", [True, False])
def test_boolean(number: bool) -> None:
    assert ENCODER.booleans(NAME)[number] == encoded(NAME, number)


@pytest.mark.parametrize("number", [0.0, -1.5, math.inf])
def test_double(number: float) -> None:
    assert ENCODER.doubles(NAME)(number) == encoded(NAME, number)


def test_other_attributes_are_added() -> None:
    key_values = [encoded("a.b", 1)]
    ENCODER.put(key_values, {"a.c": "text", "a.d": [1, 2]})
    ENCODER.put(key_values, {})

    assert key_values == [encoded("a.b", 1), encoded("a.c", "text"), encoded("a.d", [1, 2])]


@pytest.mark.parametrize("attributes", [{str(EVENT_OVERFLOW): "{}"}, {"": 1}, {"a.b": {"c": 1}}])
def test_attributes_that_belong_to_the_whole_event_are_refused(attributes: dict[str, object]) -> None:
    """An event has one overflow, and the SDK would change or drop the others."""
    with pytest.raises(NotCleanError):
        ENCODER.put([], attributes)  # type: ignore[arg-type]


def test_names_of_encoded_attributes() -> None:
    """The length before a long one has several bytes."""
    assert ENCODER.names([encoded("a.b", 1), encoded("a.c", "x" * 20_000)]) == ["a.b", "a.c"]
