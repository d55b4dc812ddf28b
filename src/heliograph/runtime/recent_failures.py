"""Keep the last failures of this process for people who look for a problem: time, level, class, and the message without its values.

The values in a message and the text of an exception may quote a program, a user or a server, so neither is kept.

Any thread may note a failure and read them: a `deque` appends in one step.
"""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_FAILURES: Final = 20
"""The number of failures that are kept."""

_PLACEHOLDER: Final = re.compile(r"%[-\d.]*[sdr]")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A warning or an error that heliograph logged.

    Attributes:
        time: The seconds since 1970.
        level: The level, as in `logging`.
        text: The message, with an ellipsis in place of each value.
        error: The class of the exception; empty if there was none.
    """

    time: float
    level: int
    text: str
    error: str


_failures: Final[deque[Failure]] = deque(maxlen=MAX_FAILURES)


def note_failure(level: int, message: str, error: BaseException | None) -> None:
    """Keep a failure.

    Args:
        level: The level, as in `logging`.
        message: The message, as in `logging`, with the placeholders of its values.
        error: The exception, if there was one.
    """
    text = _PLACEHOLDER.sub("…", message)
    _failures.append(
        Failure(time=time.time(), level=level, text=text, error="" if error is None else type(error).__name__)
    )


def recent_failures() -> list[Failure]:
    """Return the last failures, the newest first."""
    return sorted(_failures.copy(), key=lambda failure: failure.time, reverse=True)
