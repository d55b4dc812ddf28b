"""A clock of deadlines that moves only when a test moves it: see the fixture `clock`."""

from __future__ import annotations


class Clock:
    """Replaces the monotonic clock.

    Attributes:
        now: The time, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now
