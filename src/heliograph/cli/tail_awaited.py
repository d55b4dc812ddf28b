"""Wait for an event, or an operation on a token: the option ``--await`` of ``heliograph tail``."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.cli.tail_filter import ArrivalFilter
from heliograph.receiver.arrivals import arrivals
from heliograph.receiver.signals import OtlpRequest


class Awaited:
    """Recognizes the awaited arrival. Any thread may call `look`.

    Args:
        permits: The filter of the awaited event or operation.
        on_arrival: Called when it has arrived; twice, if two threads find it at the same time.

    Attributes:
        has_arrived: True if it has arrived.
    """

    def __init__(self, permits: ArrivalFilter, on_arrival: Callable[[], None]) -> None:
        self.has_arrived = False
        self._permits = permits
        self._on_arrival = on_arrival

    def look(self, request: OtlpRequest) -> None:
        """Look for the awaited arrival in a request."""
        if not self.has_arrived and any(map(self._permits.permits, arrivals(request))):
            self.has_arrived = True
            self._on_arrival()
