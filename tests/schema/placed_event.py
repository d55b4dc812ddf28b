"""An event class that uses most of the declarations that a class and its fields can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from heliograph import Attribute, Event


@dataclass
class Customer:
    name: Annotated[str, Attribute("shop.customer.name", brief="The name of the customer.")]
    age: int | None = None


@dataclass
class PlacedEvent(Event, namespace="shop", version="2", stability="stable"):
    """An order was placed.

    By the shop, or by telephone.
    """

    name = "order-placed"
    total: Annotated[
        int,
        msgspec.Meta(ge=0),
        Attribute(
            "shop.order.total",
            brief="The price.",
            note="With taxes.",
            examples=[1250],
            requirement="conditionally_required: if it is not free",
            unit="{cent}",
        ),
    ]
    customer: Customer
    database: Annotated[str, Attribute("db.namespace")] = "shop"
