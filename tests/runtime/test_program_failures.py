"""A failure of the program's code reaches all who count failures, as long as they live."""

from __future__ import annotations

import gc

import pytest

from heliograph.runtime.program_failures import ProgramCode, _listeners, listen, report


class Counter:
    """Counts failures."""

    def __init__(self) -> None:
        self.failures: list[tuple[ProgramCode, BaseException]] = []
        listen(self.count)

    def count(self, code: ProgramCode, error: BaseException) -> None:
        self.failures.append((code, error))


def test_each_listener_gets_each_failure() -> None:
    """Listeners do not know of each other."""
    error = ValueError()
    one, other = Counter(), Counter()
    report(ProgramCode.ACTOR, error)
    assert one.failures == other.failures == [(ProgramCode.ACTOR, error)]


def test_listener_that_is_gone_is_forgotten() -> None:
    """The listeners after it still get each failure."""
    one, other = Counter(), Counter()
    failures = one.failures
    del one
    gc.collect()
    report(ProgramCode.LOGGING, ValueError())
    assert (len(failures), len(other.failures)) == (0, 1)


@pytest.mark.usefixtures("fast_collections")
def test_listeners_that_are_gone_are_not_kept() -> None:
    """The list does not grow with each one that was ever made."""
    for _ in range(10):
        Counter()
        gc.collect()
    last = Counter()

    assert [each() for each in _listeners if each() in {None, last.count}] == [last.count]


def test_failure_without_listeners() -> None:
    """A failure that nobody listens for is ignored."""
    report(ProgramCode.CREATED, ValueError())
