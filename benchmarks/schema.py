"""Measure the time to validate an event and turn it into attributes, compared with other libraries on the same data.

Two events: Datasette's `insert-rows`, and an order of twelve fields with a nested dataclass. All candidates run in turn in
one process. Each figure is the median of many short rounds of CPU time:

- ``EventReader(schema).attributes(event, violations)``: validates, protects and names the values, and makes their forms;
- ``event.properties()`` alone, which is `dataclasses.asdict` (goal: at most 0.25 of it);
- `pydantic.TypeAdapter.validate_python` alone, with the same values as plain dicts (goal: at most 1.0);
- the emit of `jupyter_events`, with a handler that discards its input (goal: at most 0.1).

Then: registering 1,000 classes (goal: under a second), and a lookup among 1,000 compared with one among 10.
"""

from __future__ import annotations

import enum
import io
import logging
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, make_dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Annotated

import msgspec
import pydantic
from datasette.events import InsertRowsEvent
from jupyter_events import EventLogger

from heliograph import Attribute, Event
from heliograph.schema.read.event import EventReader
from heliograph.schema.registry import SchemaRegistry
from heliograph.values.forms import form_of

ROUNDS = 200
CALLS = 100
CLASSES = 1_000
GOALS = {"event.properties()": 0.25, "pydantic validate_python": 1.0, "jupyter_events emit": 0.1}


class Carrier(enum.Enum):
    """The carrier of an order."""

    POST = "post"
    COURIER = "courier"


@dataclass
class Address:
    """The address of an order."""

    street: str
    city: str
    zip_code: Annotated[str, msgspec.Meta(max_length=10)]
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]


@dataclass
class OrderPlaced(Event, namespace="shop", version="1"):
    """An order was placed."""

    name = "order-placed"
    number: Annotated[int, msgspec.Meta(ge=1)]
    customer: Annotated[str, Attribute("shop.customer.name", brief="The customer.")]
    key: uuid.UUID
    total: Decimal
    wanted_at: datetime
    carrier: Carrier
    tags: list[str]
    express: bool
    weight: Annotated[float, msgspec.Meta(ge=0)]
    address: Address
    note: str | None
    parcels: int


def order() -> OrderPlaced:
    """Return an event for an order."""
    return OrderPlaced(
        number=4711,
        customer="Ada",
        key=uuid.UUID(int=7),
        total=Decimal("12.50"),
        wanted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
        carrier=Carrier.POST,
        tags=["gift", "fragile"],
        express=True,
        weight=1.5,
        address=Address("1 High Street", "Oxford", "OX1", "GB"),
        note="ring twice",
        parcels=3,
        actor={"id": "root"},
    )


def insert_rows() -> InsertRowsEvent:
    """Return one of Datasette's own events."""
    return InsertRowsEvent(
        actor={"id": "root"}, database="content", table="documents", num_rows=3, ignore=False, replace=True
    )


def validator(event: object) -> Callable[[], object]:
    """Return a call of pydantic's validation of the event's properties, given as plain values."""
    fields = type(event).__annotations__
    cls = make_dataclass("Properties", fields.items(), namespace={"__module__": __name__})
    adapter = pydantic.TypeAdapter(pydantic.dataclasses.dataclass(cls))
    values = {name: asdict(event)[name] for name in fields}  # type: ignore[call-overload]  # both are dataclasses
    return lambda: adapter.validate_python(values)


def jupyter(event: object) -> Callable[[], object]:
    """Return a call of jupyter_events' `emit` with the event's properties."""
    properties = form_of({name: getattr(event, name) for name in type(event).__annotations__})
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    schema = {
        "$id": "https://example.com/event",
        "version": "1",
        "title": "Event",
        "type": "object",
        "properties": {name: {"type": kinds[type(value)]} for name, value in properties.items()},  # type: ignore[attr-defined]
        "required": list(properties),  # type: ignore[call-overload]
    }
    logger = EventLogger(handlers=[logging.StreamHandler(io.StringIO())])
    logger.register_event_schema(schema)
    return lambda: logger.emit(schema_id="https://example.com/event", data=properties)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of one call, on average over a round."""
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - start) / CALLS


def compare(title: str, event: object) -> bool:
    """Print the time of each candidate for an event. Return True if every goal is met."""
    schema = SchemaRegistry(namespace="app").register(type(event))
    violations: list[object] = []
    attributes_of = EventReader(schema).attributes
    assert attributes_of(event, violations), "an event without attributes measures nothing"
    assert not violations, violations
    ours = lambda: attributes_of(event, violations)  # noqa: E731
    others = {
        "event.properties()": event.properties,  # type: ignore[attr-defined]
        "pydantic validate_python": validator(event),
        "jupyter_events emit": jupyter(event),
    }
    rounds = [(cpu_seconds(ours), [cpu_seconds(call) for call in others.values()]) for _ in range(ROUNDS)]
    print(f"{title}\n  checked attributes        {statistics.median(own for own, _ in rounds) * 1e6:7.2f} µs")
    met = True
    for index, (name, goal) in enumerate(GOALS.items()):
        cost = statistics.median(each[index] for _, each in rounds) * 1e6
        ratio = statistics.median(own / each[index] for own, each in rounds)
        met = met and ratio <= goal
        print(f"  {name:<25} {cost:7.2f} µs   ratio {ratio:5.3f}   (goal: at most {goal})")
    return met


def classes(count: int) -> list[type]:
    """Return ``count`` event classes of three fields each."""
    fields = [("number", int), ("text", str), ("address", Address)]
    return [
        make_dataclass(f"Event{index}", fields, bases=(Event,), namespace={"name": f"event-{index}"})
        for index in range(count)
    ]


def register() -> bool:
    """Print the time to register and to look up classes. Return True if the goals are met."""
    few, many = SchemaRegistry(namespace="app"), SchemaRegistry(namespace="app")
    some, lots = classes(10), classes(CLASSES)
    for event_class in some:
        few.register(event_class)
    start = time.process_time()
    for event_class in lots:
        many.register(event_class)
    seconds = time.process_time() - start
    rounds = [(cpu_seconds(lambda: many[lots[-1]]), cpu_seconds(lambda: few[some[-1]])) for _ in range(ROUNDS)]
    ratio = statistics.median(more / fewer for more, fewer in rounds)
    print(f"registering {CLASSES} classes   {seconds:.2f} s   (goal: under 1)")
    print(f"lookup among {CLASSES} / 10     ratio {ratio:.2f}   (goal: at most 1.2)")
    return seconds < 1 and ratio <= 1.2  # noqa: PLR2004


def main() -> int:
    """Print all comparisons, and return exit status 1 if a goal is missed."""
    results = [
        compare("insert-rows, 5 fields", insert_rows()),
        compare("order-placed, 12 fields, one of them a dataclass of 4", order()),
        register(),
    ]
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
