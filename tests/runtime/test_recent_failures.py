"""The last failures are kept by class and time, without values and without messages of exceptions."""

from __future__ import annotations

import logging
import time

import pytest

from heliograph.runtime.recent_failures import MAX_FAILURES, recent_failures
from heliograph.runtime.safe_logger import SafeLogger


def test_failure_has_class_and_time_and_no_values() -> None:
    began = time.time()
    SafeLogger("heliograph.tests").log(
        logging.WARNING, "%s has failed, %d of 5.", "secret", 3, error=KeyError("secret")
    )

    newest = recent_failures()[0]
    assert (newest.level, newest.text, newest.error) == (logging.WARNING, "… has failed, … of 5.", "KeyError")
    assert began <= newest.time <= time.time()


def test_information_is_no_failure() -> None:
    SafeLogger("heliograph.tests").log(logging.INFO, "all is well")

    assert "all is well" not in [failure.text for failure in recent_failures()]


def test_only_the_last_failures_are_kept_the_newest_first() -> None:
    logger = SafeLogger("heliograph.tests")
    for number in range(MAX_FAILURES + 5):
        message = f"failure {number}"
        logger.error(message)

    assert [failure.text for failure in recent_failures()] == [
        f"failure {number}" for number in range(MAX_FAILURES + 4, 4, -1)
    ]


def test_failure_is_kept_although_the_programs_logging_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(logging.getLogger("heliograph.tests"), "log", fail)
    monkeypatch.setattr(logging, "raiseExceptions", False)
    SafeLogger("heliograph.tests").warning("kept")

    assert recent_failures()[0].text == "kept"
