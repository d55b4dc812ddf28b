"""Print what arrives in a thread of its own, so that a slow terminal does not delay the exporters of programs.

Threads: the receiver's threads call `LinePrinter.show`, which never waits for the terminal. If too many requests wait to be printed, the
lines of a further one are only counted. The thread `heliograph-printer` decodes and prints. `_changed` guards `_waiting`, `_bytes`,
`_is_printing`, `not_shown` and `_is_closed`.

A span event has no body, and the log record of the same event may be on its way: a program that ends flushes its spans first. So the
line of a span event is held back for a moment, and not printed if the log record arrives meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from heliograph.cli.tail_filter import ArrivalFilter
from heliograph.cli.terminal import echo, echo_styled
from heliograph.receiver.arrivals import Arrival, FirstArrivals, arrivals, names
from heliograph.receiver.signals import OtlpRequest
from heliograph.values.text import counted

MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""The size of the requests that wait to be printed. A larger request is printed if nothing waits or is being printed."""
HOLD_SECONDS: Final = 1.0
"""The time for which the line of a span event is held back."""
MAX_HELD: Final = 10_000
"""The number of lines that are held back at the same time."""
CLOSE_SECONDS: Final = 5
"""The longest time that `LinePrinter.close` waits for a slow terminal."""


class LinePrinter:
    """Prints a line for each event and each operation on a token, once.

    Args:
        permits: The filter of the lines.
        line: Writes a line.
        on_end: Called if nothing can be printed any more, because the reader of a pipe has ended, or for another reason.

    Attributes:
        shown: The number of lines that were printed.
        not_shown: The number of lines that were not printed, because more arrived than could be printed.
        failure: The reason why nothing can be printed any more, such as a full disk; `None` if there is none.
    """

    def __init__(
        self, permits: ArrivalFilter, line: Callable[[Arrival], str], on_end: Callable[[], None] = lambda: None
    ) -> None:
        self.shown = 0
        self.not_shown = 0
        self.failure: OSError | None = None
        self._permits = permits
        self._line = line
        self._on_end = on_end
        self._first = FirstArrivals()
        # The events whose lines are held back, each with the time at which its line is printed.
        self._held: deque[tuple[float, Arrival]] = deque()
        self._waiting: list[OtlpRequest] = []
        self._bytes = 0
        self._is_printing = False
        self._reported = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="heliograph-printer", daemon=True)
        self._thread.start()

    def show(self, request: OtlpRequest) -> None:
        """Print the lines of a request soon, or count them."""
        size = request.ByteSize()
        with self._changed:
            if self._bytes + size <= MAX_WAITING_BYTES or not (self._waiting or self._is_printing):
                self._waiting.append(request)
                self._bytes += size
                self._changed.notify()
            else:
                self.not_shown += self._permits.permitted(names(request))

    def close(self) -> None:
        """Print what waits, for a limited time."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            while (requests := self._take()) is not None:
                self._print(self._due(requests))
                self._report_not_shown()
        except OSError as error:
            # A BrokenPipeError means that the program that reads our output, such as `head`, has ended.
            if not isinstance(error, BrokenPipeError):
                self.failure = error
            self._on_end()

    def _take(self) -> list[OtlpRequest] | None:
        """Wait for requests, or until a line has been held back long enough. Return the requests that wait; `None` at the end."""
        with self._changed:
            self._is_printing = False
            timeout = max(0.0, self._held[0][0] - time.monotonic()) if self._held else None
            self._changed.wait_for(lambda: self._waiting or self._is_closed, timeout)
            if self._is_closed and not self._waiting and not self._held:
                return None
            requests, self._waiting, self._bytes = self._waiting, [], 0
            self._is_printing = bool(requests)
            return requests

    def _due(self, requests: Iterable[OtlpRequest]) -> Iterator[Arrival]:
        """Yield the arrivals that are to be printed now, from the requests and from those that were held back."""
        now = time.monotonic()
        for request in requests:
            for each in filter(self._permits.permits, arrivals(request)):
                if each.is_event and each.identity and not each.body:
                    self._held.append((now + HOLD_SECONDS, each))
                else:
                    yield each
        with self._changed:
            is_closed = self._is_closed
        while self._held and (is_closed or self._held[0][0] <= now or len(self._held) > MAX_HELD):
            yield self._held.popleft()[1]

    def _print(self, due: Iterable[Arrival]) -> None:
        lines = [self._line(each) for each in due if self._first.is_first(each)]
        if lines:
            echo_styled(lines)
            self.shown += len(lines)

    def _report_not_shown(self) -> None:
        """Print the number of lines that were not printed since the last report, when nothing waits to be printed."""
        with self._changed:
            missing = self.not_shown - self._reported
            if self._waiting or not missing:
                return
            self._reported = self.not_shown
        echo(f"… {counted(missing, 'line')} not printed: more arrived than can be printed", err=True)
