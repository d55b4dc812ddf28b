"""The program's logging may fail, and nobody who logs notices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from heliograph.runtime.safe_logger import SafeLogger

NAME = "heliograph.tests"


class Failing(logging.Filter):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def filter(self, _: logging.LogRecord) -> bool:
        raise self.error


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger whose filters end with the test."""
    logger = logging.getLogger(NAME)
    yield logger
    logger.filters.clear()


def test_record_names_the_line_that_logs(caplog: pytest.LogCaptureFixture) -> None:
    """The file and line of a record are those of the caller."""
    logger = SafeLogger(NAME)
    logger.warning("%s", 1)
    logger.error("%s", 2)
    logger.log(logging.ERROR, "%s", 3, error=ValueError("three"))
    try:
        int("four")
    except ValueError:
        logger.exception("%s", 4)

    assert [record.getMessage() for record in caplog.records] == ["1", "2", "3", "4"]
    assert {record.filename for record in caplog.records} == {"test_safe_logger.py"}
    assert [record.exc_info is not None for record in caplog.records] == [False, False, True, True]


@pytest.mark.parametrize("error", [RuntimeError("filter"), asyncio.CancelledError()])
def test_failing_filter_is_printed_once(
    logger: logging.Logger, error: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    """The failure is printed to the standard error, as `logging` itself prints what a handler raises."""
    logger.addFilter(Failing(error))
    safe = SafeLogger(NAME)
    for _ in range(3):
        safe.warning("message")
    assert capsys.readouterr().err.count("the program's logging failed") == 1


def test_nothing_is_printed_if_the_program_wants_nothing(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that sets `logging.raiseExceptions` to False wants no such output."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logger.addFilter(Failing(RuntimeError()))
    SafeLogger(NAME).warning("message")
    assert capsys.readouterr().err == ""


def test_keyboard_interrupt_passes(logger: logging.Logger) -> None:
    """A signal handler may raise the interrupt in a filter."""
    logger.addFilter(Failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        SafeLogger(NAME).warning("message")
