"""An event from the quarantine is read by the class of its version, or through an upcaster."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest

from heliograph import Attribute, Event, NotReplayable, Privacy
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.replay import prepare
from heliograph.schema.registry import SchemaRegistry
from quarantine.test_store import RECORD

ORDER = replace(RECORD, event_name="app.order", version="1", properties={"number": 7})


@dataclass
class OrderEvent(Event, version="1"):
    name = "order"
    number: int


@dataclass
class NewOrderEvent(Event, version="2"):
    name = "order"
    key: str


@NewOrderEvent.upcast(from_version="1")
def upcast_from_1(properties: dict[str, Any]) -> dict[str, Any]:
    return {"key": str(properties.pop("number"))}


@NewOrderEvent.upcast(from_version="0")
def upcast_that_fails(properties: dict[str, Any]) -> dict[str, Any]:
    properties.clear()
    raise ValueError("c4n4ry")


def registry(*event_classes: type) -> SchemaRegistry:
    schemas = SchemaRegistry(namespace="app")
    for event_class in event_classes:
        schemas.register(event_class)
    return schemas


def reasons(schemas: SchemaRegistry, record: InvalidRecord) -> str:
    with pytest.raises(NotReplayable) as raised:
        prepare(schemas, record)
    return str(raised.value)


def test_event_of_a_registered_version_is_read_by_its_class() -> None:
    reader, attributes = prepare(registry(OrderEvent), ORDER)

    assert reader.schema.event_class is OrderEvent
    assert attributes == {"app.order.number": 7}


def test_registered_version_is_preferred_to_an_upcaster() -> None:
    """Both classes could read the event, in whatever order they were registered."""
    for classes in ((OrderEvent, NewOrderEvent), (NewOrderEvent, OrderEvent)):
        assert prepare(registry(*classes), ORDER)[0].schema.event_class is OrderEvent


def test_event_of_an_older_version_goes_through_the_upcaster() -> None:
    """The record is not changed, although the upcaster changes what it gets."""
    reader, attributes = prepare(registry(NewOrderEvent), ORDER)

    assert reader.schema.event_class is NewOrderEvent
    assert attributes == {"app.order.key": "7"}
    assert ORDER.properties == {"number": 7}


def test_nested_properties_are_not_changed_by_an_upcaster() -> None:
    """The upcaster gets a deep copy."""

    @dataclass
    class BasketEvent(Event, version="2"):
        name = "basket"
        count: int

    @BasketEvent.upcast(from_version="1")
    def count(properties: dict[str, Any]) -> dict[str, Any]:
        items = properties["items"]
        items.append("one more")
        return {"count": len(items)}

    record = replace(RECORD, event_name="app.basket", version="1", properties={"items": ["a"]})

    assert prepare(registry(BasketEvent), record)[1] == {"app.basket.count": 2}
    assert record.properties == {"items": ["a"]}


def test_event_that_is_still_invalid_is_rejected() -> None:
    assert reasons(registry(OrderEvent), replace(ORDER, properties={"number": "x"})) == "datatype-mismatch: number"


def test_result_of_an_upcaster_is_checked_too() -> None:
    @dataclass
    class StillWrong(Event, version="2"):
        name = "order"
        key: int

    StillWrong.upcast(from_version="1")(lambda properties: {"key": "text"})

    assert reasons(registry(StillWrong), ORDER) == "datatype-mismatch: key"


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 2**70, object()])
def test_value_of_an_upcaster_that_is_no_form_is_rejected(value: object) -> None:
    """The form of such a value is a text, which is no integer. No value that has no form reaches the exporter."""

    @dataclass
    class Wrong(Event, version="2"):
        name = "order"
        key: int

    Wrong.upcast(from_version="1")(lambda properties: {"key": value})

    assert reasons(registry(Wrong), ORDER) == "datatype-mismatch: key"


def test_upcaster_may_return_python_values() -> None:
    """Values of an upcaster have the same form as in an event that is tracked."""

    @dataclass
    class DatedEvent(Event, version="2"):
        name = "order"
        day: dt.date

    DatedEvent.upcast(from_version="1")(lambda properties: {"day": dt.date(2026, 1, 2)})

    assert prepare(registry(DatedEvent), ORDER)[1] == {"app.order.day": "2026-01-02"}


def test_protected_values_are_not_checked() -> None:
    """The original of a masked or hashed value is not in the quarantine."""

    @dataclass
    class CardEvent(Event):
        name = "card"
        number: Annotated[int, Attribute(privacy=Privacy.MASK)]

    record = replace(RECORD, event_name="app.card", version=None, properties={"number": "<masked>"})

    assert prepare(registry(CardEvent), record)[1] == {"app.card.number": "<masked>"}


def test_event_without_a_class_is_rejected() -> None:
    assert "no source has an event class with the event name 'app.order'" in reasons(registry(), ORDER)


def test_version_without_an_upcaster_is_rejected_with_the_fix() -> None:
    message = reasons(registry(NewOrderEvent), replace(ORDER, version="3"))

    assert "the event has version '3', but the sources have '2'" in message
    assert "@NewOrderEvent.upcast(from_version='3')" in message


def test_upcaster_that_fails_is_reported_without_values() -> None:
    message = reasons(registry(NewOrderEvent), replace(ORDER, version="0"))

    assert message == "the upcaster from version '0' failed: builtins.ValueError"
