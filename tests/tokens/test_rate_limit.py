"""A limit of the number of events in a minute."""

from __future__ import annotations

from heliograph.tokens.rate_limit import RateLimit


def test_limit_admits_evenly_after_the_first_ones() -> None:
    """Each admission says how many were refused since the last one."""
    now = 0.0
    limit = RateLimit(2, lambda: now)

    assert [limit.admit() for _ in range(5)] == [0, 0, None, None, None]
    now = 30
    assert [limit.admit() for _ in range(2)] == [3, None]
    now = 3600
    assert [limit.admit() for _ in range(3)] == [1, 0, None], "it collects no more than the number of a minute"


def test_limit_of_zero_admits_nothing() -> None:
    """Nothing is admitted however long ago the last one was."""
    now = 0.0
    limit = RateLimit(0, lambda: now)
    now = 10_000

    assert limit.admit() is None
