"""An invalid event, as the quarantine keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.trace import SpanContext

from heliograph.values.attributes import Attributes


@dataclass(frozen=True, kw_only=True)
class InvalidRecord:
    """An event that breaks its contract, whole, but for what may not leave of it.

    Attributes:
        uid: Its unique id.
        event_name: Its name on the wire.
        version: The version of its contract.
        event_class: The qualified name of its class.
        time_unix_nano: When it happened, in nanoseconds since the Unix epoch.
        actor: Who did it, as attributes.
        properties: Its properties, in their forms.
        violations: What is wrong with it.
        span: The context of the span in which it happened.
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
