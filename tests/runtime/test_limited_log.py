"""A failure that repeats is one record, then a count."""

from __future__ import annotations

import logging

import pytest

from heliograph.runtime.limited_log import INTERVAL_SECONDS, MAX_KINDS, LimitedLog
from heliograph.runtime.safe_logger import SafeLogger

LOGGER = SafeLogger("heliograph")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def messages(warnings: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in warnings.records]


def test_repeats_are_counted_in_the_next_record(warnings: pytest.LogCaptureFixture) -> None:
    """The next record comes a minute later at the earliest, and the count begins again."""
    clock = Clock()
    log = LimitedLog(LOGGER, clock=clock)

    for _ in range(1000):
        log.log("a", "It failed: %s", "x")
    assert messages(warnings) == ["It failed: x"]
    clock.now = INTERVAL_SECONDS
    log.log("a", "It failed: %s", "y")
    log.log("a", "It failed: %s", "z")
    clock.now = 2 * INTERVAL_SECONDS
    log.log("a", "It failed: %s", "z")

    assert messages(warnings)[1:] == [
        "It failed: y (999 more since the last such line)",
        "It failed: z (1 more since the last such line)",
    ]


def test_each_kind_is_logged(warnings: pytest.LogCaptureFixture) -> None:
    """The record has the given level, and the traceback of the error."""
    log = LimitedLog(LOGGER)
    error = ValueError("x")

    log.log("a", "first", level=logging.WARNING)
    log.log("b", "second", error=error)

    first, second = warnings.records
    assert (first.levelno, first.exc_info, second.levelno) == (logging.WARNING, None, logging.ERROR)
    assert second.exc_info is not None
    assert second.exc_info[1] is error
    assert first.filename == "test_limited_log.py"


def test_number_of_kinds_is_bounded(warnings: pytest.LogCaptureFixture) -> None:
    """Beyond the bound, all others are one kind."""
    log = LimitedLog(LOGGER)

    for kind in range(MAX_KINDS + 100):
        log.log(kind, "x")

    assert len(warnings.records) == MAX_KINDS + 1
    assert len(log._kinds) == MAX_KINDS + 1
