"""An invalid event in the form in which the quarantine keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.trace import SpanContext

from heliograph.values.attributes import Attributes


@dataclass(frozen=True, kw_only=True)
class InvalidRecord:
    """An event that does not match its schema, with everything that is needed to emit it again later.

    Privacy is already applied to actor and properties: masked, hashed and dropped values are not in here.

    Attributes:
        uid: The unique id of the event (``log.record.uid``).
        event_name: The event name on the wire, such as ``app.ban_user``.
        version: The version of the event class, or `None` if the class has none.
        event_class: The qualified name of the event class.
        time_unix_nano: The time of the event, in nanoseconds since the Unix epoch.
        actor: The actor, and what is exported of the request, as wire attributes.
        properties: The properties by field name, as forms.
        violations: The violations, each as text: ``"datatype-mismatch: number"``.
        span: The context of the span that was recording when the event was tracked. It is invalid if there was none.
    """

    uid: str
    event_name: str
    version: str | None
    event_class: str
    time_unix_nano: int
    actor: Attributes
    properties: Mapping[str, object]
    violations: tuple[str, ...]
    span: SpanContext
