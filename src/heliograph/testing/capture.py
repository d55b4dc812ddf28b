"""`capture`: collect the events and the token operations of a block.

Which events belong to a capture:

- An event that is tracked in the context of a capture (`contextvars`) belongs to that capture, and to those around it. So tests that
  run in several threads of one process, with one host, do not see each other's events.
- An event that is tracked in any other context belongs to every capture. A server's thread, or a thread that the test started, has a
  context of its own.

Threads: any thread may emit during a capture. Each event is one `append` to a list, which is one step.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from heliograph.arguments import AN_EVENT_CLASS, check_argument
from heliograph.semconv import LOG_RECORD_UID
from heliograph.telemetry.observers import TokenSpan, TrackedEvent, observers
from heliograph.testing.failures import describe_events, problem_of_fields
from heliograph.testing.sources import registry_of

E = TypeVar("E")

FIRST_TIME_UNIX_NANO: Final = 1_767_225_600_000_000_000
"""The time of the first captured event, 2026-01-01T00:00:00Z. Each later event is a millisecond later."""

_current: ContextVar[tuple[Captured, ...]] = ContextVar("heliograph_captures", default=())
"""The captures in whose context the code runs."""


@contextlib.contextmanager
def capture(host: object = None) -> Iterator[Captured]:
    """Collect the events and the token operations of the block.

    What the program emits is not changed: OpenTelemetry's providers, if there are any, get the same as without a capture.

    Args:
        host: A `heliograph.Host` or a `Datasette`. `None` means all of the process, including those that the block makes.

    Yields:
        The events and token operations so far. They may be read after the block, too.

    Raises:
        TypeError: The host is something else, such as an event class or an app.
    """
    captured = Captured(host)
    observers.append(captured)
    outer = _current.get()
    _current.set((*outer, captured))
    try:
        yield captured
    finally:
        # Not `reset`, which fails if a test framework ends a fixture in another context than it began in.
        _current.set(outer)
        observers.remove(captured)


class Captured:
    """The events and token operations of a block, in the order in which they happened.

    Args:
        host: As for `capture`.

    Attributes:
        events: The events, as typed objects and with their attributes. Their unique ids and times are the same in each run: the ids are numbered
            from 1, and the times begin at the start of 2026 (UTC) and are a millisecond apart. (``event.created`` is the real time.)
        tokens: The token operations.
    """

    # A test looks at the captured events, so it needs no provider, and must get no warning that one is missing.
    replaces_providers = True

    def __init__(self, host: object = None) -> None:
        if host is not None:
            # A wrong host is reported to the caller at once, not at the first event.
            registry_of(host)
        self.host = host
        self.events: list[TrackedEvent] = []
        self.tokens: list[TokenSpan] = []
        self._numbers = itertools.count(1)

    def of(self, event_class: type[E]) -> list[E]:
        """Return the events of a class and its subclasses, as the objects that the program tracked.

        Raises:
            TypeError: `event_class` is not a class.
        """
        check_argument("event_class", event_class, type, AN_EVENT_CLASS)
        return [each.event for each in self.events if isinstance(each.event, event_class)]

    def assert_tracked(self, event_class: type, /, **fields: object) -> TrackedEvent:
        """Return the first event of a class, or of a subclass, whose fields have these values.

        Args:
            event_class: The class.
            fields: Fields of the event, such as ``actor={"id": "root"}``, and the values that they must be equal to.

        Raises:
            AssertionError: There is none. The message lists the events that were tracked.
            TypeError: `event_class` is not a class, or it has no field of that name.
        """
        found = self._find(event_class, fields)
        if found is None:
            raise AssertionError(f"no event {_wanted(event_class, fields)} was tracked{describe_events(self.events)}")
        return found

    def assert_not_tracked(self, event_class: type, /, **fields: object) -> None:
        """Check that there is no event of a class, or of a subclass, whose fields have these values.

        Args:
            event_class: The class.
            fields: Fields of the event, and their values. Without any, no event of the class may have been tracked.

        Raises:
            AssertionError: There is one.
            TypeError: `event_class` is not a class, or it has no field of that name.
        """
        found = self._find(event_class, fields)
        if found is not None:
            raise AssertionError(f"an event {_wanted(event_class, fields)} was tracked{describe_events([found])}")

    def _find(self, event_class: type, fields: dict[str, object]) -> TrackedEvent | None:
        check_argument("event_class", event_class, type, AN_EVENT_CLASS)
        if (problem := problem_of_fields(event_class, fields)) is not None:
            raise TypeError(problem)
        for each in self.events:
            if isinstance(each.event, event_class) and _has(each.event, fields):
                return each
        return None

    def on_event(self, source: object, event: TrackedEvent) -> None:
        """Add an event. The emitter calls it for each event of the process."""
        if self._is_mine(source):
            number = next(self._numbers)
            uid = f"00000000-0000-7000-8000-{number:012d}"
            attributes = {**event.attributes, str(LOG_RECORD_UID): uid}
            time = FIRST_TIME_UNIX_NANO + (number - 1) * 1_000_000
            self.events.append(dataclasses.replace(event, uid=uid, attributes=attributes, time_unix_nano=time))

    def on_token(self, source: object, span: TokenSpan) -> None:
        """Add a token operation. It is called for each one of the process."""
        if self._is_mine(source):
            self.tokens.append(span)

    def _is_mine(self, source: object) -> bool:
        """Return True if what a host emits in the current context belongs to this capture."""
        current = _current.get()
        if any(each in observers for each in current) and self not in current:
            return False
        return self.host is None or registry_of(self.host) is source


def _has(event: object, fields: dict[str, Any]) -> bool:
    return all(hasattr(event, name) and getattr(event, name) == value for name, value in fields.items())


def _wanted(event_class: type, fields: dict[str, object]) -> str:
    return f"{event_class.__qualname__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
