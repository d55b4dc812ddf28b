"""An event in the store of recent events, with a bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.trace import format_trace_id

from heliograph.semconv import TOKEN_ID, USER_HASH, USER_ID
from heliograph.telemetry.observers import TrackedEvent
from heliograph.values.attributes import Attributes
from heliograph.values.text import to_json

MAX_ATTRIBUTE_BYTES: Final = 4096
"""The largest size of the attributes of an event, as JSON. Attributes that do not fit are only counted."""
MAX_TEXT: Final = 300
"""The largest number of characters of each other text."""


@dataclass(frozen=True, kw_only=True)
class RecentEvent:
    """An event that was emitted. Each text has at most `MAX_TEXT` characters.

    Attributes:
        time_unix_nano: The time of the event, in nanoseconds since the Unix epoch.
        event_name: The event name on the wire.
        actor: The exported id of the actor, or its hash; `None` if there is none.
        token_id: The id of the token that the event was caused with; `None` if there is none.
        body: The display string.
        trace_id: The id of the trace, in hexadecimal; `None` if there was no span.
        attributes: The attributes, as a JSON object of about `MAX_ATTRIBUTE_BYTES` at most.
        omitted: The number of attributes that do not fit into it.
    """

    time_unix_nano: int
    event_name: str
    actor: str | None
    token_id: str | None
    body: str
    trace_id: str | None
    attributes: str
    omitted: int


def recent_event(event: TrackedEvent) -> RecentEvent:
    """Return the parts of an event that are kept. All of them are in its log record, too, so privacy was applied to them."""
    text, omitted = to_json(event.attributes), 0
    if len(text.encode()) > MAX_ATTRIBUTE_BYTES:
        kept = _fitting(event.attributes)
        text, omitted = to_json(kept), len(event.attributes) - len(kept)
    return RecentEvent(
        time_unix_nano=event.time_unix_nano,
        event_name=event.event_name[:MAX_TEXT],
        actor=_text(event.attributes.get(USER_ID, event.attributes.get(USER_HASH))),
        token_id=_text(event.attributes.get(TOKEN_ID)),
        body=event.body[:MAX_TEXT],
        trace_id=format_trace_id(event.trace_id) if event.trace_id else None,
        attributes=text,
        omitted=omitted,
    )


def _text(value: object) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) else None


def _fitting(attributes: Mapping[str, Any]) -> Attributes:
    """Return the attributes that fit, in their order. A long attribute is skipped, and shorter ones after it are kept."""
    kept: Attributes = {}
    room = MAX_ATTRIBUTE_BYTES
    for name, value in attributes.items():
        size = len(to_json({name: value}).encode())
        if size <= room:
            kept[name] = value
            room -= size
    return kept
