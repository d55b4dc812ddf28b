"""Event classes that declare everything that a class can declare; used by the tests of exporters and drafts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Severity
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from schema.typed_values import Color, Level


@dataclass
class Customer:
    name: Annotated[str, Attribute("shop.customer.name", brief="What the customer is called.", privacy=Privacy.HASH)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "GB"


@dataclass
class OrderEvent(
    Event,
    namespace="shop",
    version="1",
    severity=Severity.WARN,
    stability="stable",
    message="{actor[id]}: {total} {{}}",
):
    """An order was placed.

    By a customer.
    """

    name = "order"
    total: Annotated[int, Attribute("shop.order.total", brief="What it costs.", examples=[1250], unit="{cent}")]
    database: Annotated[str, Attribute("db.namespace")]
    customer: Customer | None
    color: Color
    level: Level | None = None
    extra: dict[str, int] | None = None
    note: Annotated[str | None, Attribute(privacy=Privacy.MASK)] = None
    sql: Annotated[str | None, Attribute(requirement="opt_in")] = None
    why: Annotated[str | None, Attribute(requirement="conditionally_required: when it is late")] = None
    old: Annotated[str | None, Attribute("shop.old", deprecated=Deprecated(renamed_to="shop.new"))] = None


@dataclass
class BanEvent(Event, namespace="shop", deprecated=Deprecated(note="Nobody is banned any more.")):
    name = "ban"


def schemas(*classes: type) -> list[EventSchema]:
    """Return the schemas of event classes."""
    return [compile_schema(cls, namespace="app") for cls in classes]
