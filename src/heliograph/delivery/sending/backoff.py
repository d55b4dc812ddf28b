"""The waiting time between two attempts to send: exponential, with full jitter."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

_MAX_DOUBLINGS: Final = 32
_RANDOM: Final = secrets.SystemRandom().random


class Backoff:
    """Computes how long to wait before each new attempt.

    The wait is a random share of a ceiling ("full jitter"), and the ceiling doubles with each failure. Without jitter,
    all clients of a server that restarts would come back in the same second.

    The first failure after a success has a ceiling of its own: it may be one of a server that fails now and then, and the next
    attempt tells. A server that is down soon gets the longer waits.

    It keeps one number, the failures since the last success, and is not thread-safe: one sender owns it.

    Args:
        initial: The ceiling after the first failure, in seconds, if no success came before it; else that after the second one.
        after_success: The ceiling after the first failure, in seconds, if a success came before it.
        maximum: The highest ceiling, in seconds.
        random: Returns a number from 0 (included) to 1 (excluded). The default reads the operating system's randomness.
            A seeded generator would be copied by a fork, and all children would wait equally long.
    """

    def __init__(
        self,
        initial: float = 1.0,
        after_success: float = 0.1,
        maximum: float = 60.0,
        random: Callable[[], float] = _RANDOM,
    ) -> None:
        self._initial, self._after_success, self._maximum, self._random = initial, after_success, maximum, random
        self._failures = 0  # -1 after a success

    def next(self, retry_after_seconds: float | None = None) -> float:
        """Count one more failure, and return the seconds to wait after it.

        The server's `Retry-After` is a minimum; the jitter is added to it. A server under load sends the same
        `Retry-After` to every client, and without jitter they would all return at the same moment.
        """
        if self._failures < 0 and not retry_after_seconds:
            ceiling = self._after_success
        else:
            # The bound on the exponent keeps 2.0 ** n finite after any number of failures.
            ceiling = min(self._maximum, self._initial * 2.0 ** min(max(0, self._failures), _MAX_DOUBLINGS))
        self._failures += 1
        return (retry_after_seconds or 0.0) + self._random() * ceiling

    def reset(self) -> None:
        """Start again from the first ceiling, after a success."""
        self._failures = -1
