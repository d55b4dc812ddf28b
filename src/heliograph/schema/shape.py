"""The shape of an event, and of one of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from heliograph.events import Actor


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
    """One property of an event.

    Attributes:
        name: The name of the dataclass's field.
        attribute: The attribute that it becomes, or the prefix of the attributes that its keys become.
        type: Its type, as msgspec sees it.
        required: Whether the event cannot be made without it.
    """

    name: str
    attribute: str
    type: msgspec.inspect.Type
    required: bool


def read(event: object, name: str) -> object:
    """What the event has under a name; `None` where it has nothing, or raises."""
    try:
        return getattr(event, name, None)
    except Exception:  # a property may do anything; an event is never lost by it
        return None
