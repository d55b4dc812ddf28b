"""The event that the benchmarks of `track` and its peers record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from heliograph import Event


@dataclass
class OrderShipped(Event, namespace="shop"):
    """An event with seven fields."""

    name = "order-shipped"
    order: int
    customer: str
    country: str
    carrier: str
    parcels: int
    express: bool
    note: str | None = None


def order_shipped() -> OrderShipped:
    """Return an event."""
    return OrderShipped(4711, "Ada", "GB", "post", 3, True, "fragile", actor={"id": "root"})


def attributes_of(event: OrderShipped) -> dict[str, Any]:
    """Return attributes as a program without schemas would write them."""
    return {
        "shop.order_shipped.order": event.order,
        "shop.order_shipped.customer": event.customer,
        "shop.order_shipped.country": event.country,
        "shop.order_shipped.carrier": event.carrier,
        "shop.order_shipped.parcels": event.parcels,
        "shop.order_shipped.express": event.express,
        "shop.order_shipped.note": event.note,
        "user.id": event.actor["id"] if event.actor else None,
    }
