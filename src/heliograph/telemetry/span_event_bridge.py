"""Find OpenTelemetry's bridge from events to span events, so that no event is in a span twice.

The bridge is a processor of log records: it adds each event (a log record with an event name) to the current span, as a span event.
Specification: logs SDK, "Event to span event bridge" (in development).
"""

from __future__ import annotations

from typing import Final

from heliograph.telemetry.logger_processors import processors_of

_NAME: Final = "SpanEventBridge"
"""A part of the name that the specification and its implementations give to the class. Python's SDK has none yet."""


def has_bridge(logger: object) -> bool:
    """Return True if the provider of a logger of the SDK has such a processor."""
    return any(_NAME in base.__name__ for processor in processors_of(logger) for base in type(processor).__mro__)
