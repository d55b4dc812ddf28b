"""The messages of failed assertions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Final

from heliograph.telemetry.observers import TrackedEvent
from heliograph.values.text import display

MAX_EVENTS: Final = 20
"""The number of events that a message lists."""


def describe_events(events: Iterable[TrackedEvent]) -> str:
    """Return the end of a message: a line for each event, the newest last, as its object shows itself."""
    lines = [f"\n  {display(repr(each.event))}" for each in events]
    if not lines:
        return "; no event was tracked at all"
    earlier = len(lines) - MAX_EVENTS
    first = [f"\n  … and {earlier} earlier ones"] if earlier > 0 else []
    return "".join([":", *first, *lines[-MAX_EVENTS:]])


def problem_of_fields(event_class: type, fields: Iterable[str]) -> str | None:
    """Return a message that names the first field that events of a class do not have; `None` if they have all of them."""
    if not dataclasses.is_dataclass(event_class):
        return None
    known = [field.name for field in dataclasses.fields(event_class)]
    for name in fields:
        if name not in known and not hasattr(event_class, name):
            return f"{event_class.__qualname__} has no field {name!r}; its fields are: {', '.join(known)}"
    return None
