"""Uses of tokens are collected, and written about once a minute."""

from __future__ import annotations

from heliograph.tokens.stored.usage import Usage


def test_first_use_is_due_and_the_next_after_a_minute() -> None:
    """A clock that was set back does not put it off."""
    usage = Usage()

    assert usage.note("a", 1000.0)
    assert usage.take(1000.0) == {"a": 1000.0}
    assert not usage.note("a", 1059.9)
    assert usage.note("a", 1060.0)
    assert usage.note("a", 900.0)


def test_latest_use_is_taken_once() -> None:
    """A token that is used twice is one entry."""
    usage = Usage()
    assert usage.is_empty
    usage.note("a", 1001.0)
    usage.note("a", 1000.0)
    usage.note("b", 1002.0)

    assert usage.last_used("a") == 1001.0
    assert usage.last_used("c") is None
    assert not usage.is_empty
    assert usage.take(1003.0) == {"a": 1001.0, "b": 1002.0}
    assert usage.is_empty
    assert usage.take(1004.0) == {}


def test_uses_that_could_not_be_written_are_kept() -> None:
    """A newer use stays."""
    usage = Usage()
    usage.note("a", 1000.0)
    taken = usage.take(1000.0)
    usage.note("a", 1005.0)
    usage.put_back({**taken, "b": 7.0})

    assert usage.take(1006.0) == {"a": 1005.0, "b": 7.0}
