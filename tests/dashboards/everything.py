"""Event classes with fields of many types, and the dashboards for them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from heliograph import Attribute, Event, Privacy
from heliograph.dashboards.backends import EVENT_STORES, TRACE_STORES, Backends
from heliograph.dashboards.files import dashboard_files
from heliograph.schema.model.event import EventSchema
from heliograph.schema.registry import SchemaRegistry
from heliograph.values.privacy import PrivacyPolicy
from schema.typed_values import Color

BACKENDS = {
    "own": Backends(events=EVENT_STORES["victorialogs"](), traces=TRACE_STORES["jaeger"]()),
    "grafana": Backends(events=EVENT_STORES["loki"](), traces=TRACE_STORES["tempo"]()),
}


@dataclass
class Customer:
    country: str
    email: Annotated[str, Attribute(privacy=Privacy.HASH)]


@dataclass
class OrderPlaced(Event, namespace="shop", version="1"):
    """An order was placed."""

    name = "order-placed"
    total: Annotated[Decimal, Attribute("shop.order.total", brief="The price.", unit="EUR")]
    seconds: Annotated[float, Attribute(unit="s")]
    discount: Annotated[float, Attribute(unit="%")]
    product_id: int
    stars: Annotated[int, Meta(ge=1, le=5)]
    grade: Annotated[int, Meta(gt=0, lt=100)]
    color: Color
    payment: Literal["card", "cash"]
    is_gift: bool | None
    id: UUID
    comment: Annotated[str, Attribute(privacy=Privacy.MASK)]
    coupon: Annotated[str, Attribute(privacy=Privacy.HASH)]
    secret: Annotated[str, Attribute(privacy=Privacy.DROP)]
    customer: Customer
    tags: list[str]
    lines: list[Customer]
    more: dict[str, Any]
    at: datetime
    wait: timedelta
    photo: bytes
    mixed: int | str


@dataclass
class ShopOpened(Event, namespace="shop"):
    """The shop opened."""

    name = "shop-opened"


def schemas(*classes: type, **policy: Any) -> list[EventSchema]:
    """Return the schemas of these classes."""
    registry = SchemaRegistry(namespace="shop", policy=PrivacyPolicy(key="key", **policy))
    return [registry.register(each) for each in classes]


def dashboards(found: list[EventSchema], backends: Backends) -> dict[str, dict[str, Any]]:
    """Return the dashboards for these schemas, as Grafana reads them, by uid."""
    read = (json.loads(text) for text in dashboard_files(found, backends).values())
    return {dashboard["uid"]: dashboard for dashboard in read}
