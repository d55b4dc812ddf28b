"""Each class whose values cannot be exported is reported once, and their number is bounded."""

from __future__ import annotations

import logging

import pytest

from heliograph.values import reports
from heliograph.values.forms import form_of
from heliograph.values.reports import MAX_WARNINGS


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the classes that were reported."""
    monkeypatch.setattr(reports, "_first_reports", {})


class Unknown:
    pass


def test_class_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """The warning names the class and the way to register a converter."""
    form_of([Unknown(), {"a": Unknown()}])
    form_of(Unknown())

    [record] = caplog.records
    assert record.name == "heliograph"
    assert record.levelno == logging.WARNING
    assert f"{__name__}.Unknown" in record.message
    assert "heliograph.register_converter" in record.message


def test_known_values_are_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    """Cycles and values that are too deep are not reported either."""
    cycle: list[object] = []
    cycle.append(cycle)
    form_of([cycle, ValueError(), {1, "a"}])

    assert caplog.messages == []


def test_value_that_cannot_be_read_is_reported_by_the_class_of_the_error(caplog: pytest.LogCaptureFixture) -> None:
    """The text of the error may be private."""
    view = memoryview(b"a")
    view.release()

    assert form_of(view) == "<builtins.memoryview>"
    [message] = caplog.messages
    assert "raised builtins.ValueError" in message


def test_number_of_warnings_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else may choose the classes. The last warning says that no more follow; names are kept no longer."""
    for index in range(MAX_WARNINGS * 2):
        form_of(type(f"C{index}", (), {})())

    assert len(caplog.records) == MAX_WARNINGS + 1
    assert "more classes" in caplog.messages[-1]
    assert len(reports._first_reports) == MAX_WARNINGS + 1


def test_filter_that_raises_affects_nothing() -> None:
    """A program's logging filter may fail."""

    class Failing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError

    logger = logging.getLogger("heliograph")
    failing = Failing()
    logger.addFilter(failing)
    try:
        assert form_of([Unknown(), 1]) == [f"<{__name__}.Unknown>", 1]
    finally:
        logger.removeFilter(failing)
