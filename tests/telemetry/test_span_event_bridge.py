"""OpenTelemetry's bridge from events to span events is found by its name, in the classes of the processors."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor

from heliograph.telemetry.span_event_bridge import has_bridge


class Processor(LogRecordProcessor):
    """A processor of a program."""

    def on_emit(self, log_record: Any) -> None: ...

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class EventToSpanEventBridge(Processor):
    """The bridge, as OpenTelemetry specifies it."""


class OwnBridge(EventToSpanEventBridge):
    """A bridge that a program has changed."""


@pytest.mark.parametrize(
    ("processors", "is_found"),
    [
        ([], False),
        ([Processor], False),
        ([EventToSpanEventBridge], True),
        ([OwnBridge], True),
        ([Processor, OwnBridge], True),
    ],
)
def test_bridge_is_found_among_the_processors(processors: list[type[Processor]], is_found: bool) -> None:
    """A class that is built on the bridge counts."""
    provider = LoggerProvider(shutdown_on_exit=False)
    for each in processors:
        provider.add_log_record_processor(each())

    assert has_bridge(provider.get_logger("tests")) is is_found


def test_logger_of_another_vendor_has_none() -> None:
    """A logger whose processors are unknown counts as one without the bridge."""
    assert not has_bridge(object())
