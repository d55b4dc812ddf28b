"""An event of a signal's handler does not wait for the span whose method the signal has interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry.trace import INVALID_SPAN

from heliograph import Event
from heliograph.telemetry.interrupted_span import is_interrupted
from recorder import Telemetry


@dataclass
class Tick(Event, namespace="test"):
    name = "tick"


class Interrupting:
    """The events of a span, for whose addition the SDK has locked it. A signal comes just then."""

    def __init__(self, handler: Callable[[], object]) -> None:
        self._handler = handler
        self.added: list[Any] = []

    def append(self, event: Any) -> None:
        self._handler()
        self.added.append(event)

    def __iter__(self) -> Any:
        return iter(self.added)

    def __len__(self) -> int:
        return len(self.added)


def test_event_of_a_handler_that_interrupts_its_span(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """The log record of the handler is emitted. The missing span event is logged and counted, and the interrupted event is complete."""
    with telemetry.host(events=[Tick]) as host, telemetry.tracer.start_as_current_span("request") as span:
        events = Interrupting(lambda: host.track(Tick()))
        span._events = events  # type: ignore[attr-defined]
        host.track(Tick())

    assert [event.name for event in events.added] == ["test.tick"]
    assert len(telemetry.logs) == 2
    [message] = warnings.messages
    assert message == "A provider failed to emit an event as 'span_event': BlockingIOError"


def test_span_that_another_thread_has_locked_is_not_interrupted(telemetry: Telemetry) -> None:
    """Only the thread that holds the lock would wait for ever. For any other, the span is free in a moment."""
    found = []
    with telemetry.tracer.start_as_current_span("request") as span:

        def look() -> None:
            found.append(is_interrupted(span))

        def look_in_both() -> None:
            look()
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()

        span._events = Interrupting(look_in_both)  # type: ignore[attr-defined]
        span.add_event("event")
    assert found == [True, False]


@pytest.mark.parametrize("span", [None, INVALID_SPAN])
def test_span_without_a_lock_is_not_interrupted(span: object) -> None:
    """Only a recording span of the SDK has a lock to look at."""
    assert not is_interrupted(span)
