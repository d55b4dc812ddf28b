"""The shape of an event, and of one of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from heliograph.declaration import Attribute
from heliograph.events import Actor
from heliograph.schema.types import Type, is_nullable


class EventLike(Protocol):
    """The shape of an event: what Datasette's `Event` and ours have in common."""

    @property
    def name(self) -> str:
        """The event's name, as written."""

    @property
    def actor(self) -> Actor | None:
        """Who did it."""

    @property
    def created(self) -> datetime:
        """When it happened."""

    def properties(self) -> Mapping[str, object]:
        """The rest."""


@dataclass(frozen=True, kw_only=True)
class FieldSchema:
    """One property of an event, or one field of a class inside of it.

    Attributes:
        name: The name of the dataclass's field.
        attribute: The attribute that it becomes, or the prefix of the attributes that its keys become; `None`, inside of
            another field, is the field's name below the other's attribute.
        type: Its type.
        required: Whether the event cannot be made without it.
        declared: What the field says of itself.
    """

    name: str
    attribute: str | None
    type: Type
    required: bool
    declared: Attribute = field(default_factory=Attribute)

    @property
    def requirement(self) -> str:
        """``"required"``, ``"recommended"``, ``"opt_in"`` or ``"conditionally_required: <when>"``."""
        if self.declared.requirement is not None:
            return self.declared.requirement
        return "required" if self.required and not is_nullable(self.type) else "recommended"

    def attribute_below(self, name: str) -> str:
        """The attribute that it becomes, inside of a field with the attribute ``name``."""
        return self.attribute or f"{name}.{self.name}"


def read(event: object, name: str) -> object:
    """What the event has under a name; `None` where it has nothing, or raises."""
    try:
        return getattr(event, name, None)
    except Exception:  # a property may do anything; an event is never lost by it
        return None
