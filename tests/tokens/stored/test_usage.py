"""Uses of tokens are collected, and written about once a minute."""

from __future__ import annotations

from heliograph.tokens.stored.usage import Usage


def test_first_use_is_due_and_the_next_after_a_minute() -> None:
    """A clock that was set back does not put a use off."""
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
    """A newer use of the same token is not replaced by the older one."""
    usage = Usage()
    usage.note("a", 1000.0)
    taken = usage.take(1000.0)
    usage.note("a", 1005.0)
    usage.put_back({**taken, "b": 7.0})

    assert usage.take(1006.0) == {"a": 1005.0, "b": 7.0}


def test_write_is_planned_once() -> None:
    """An earlier one replaces it, and so does any if it is long overdue: nobody takes the uses then."""
    usage = Usage()
    assert not usage.is_planned

    assert usage.plan(1000.0, at=1060.0)
    assert usage.is_planned
    assert not usage.plan(1001.0, at=1061.0)
    assert usage.plan(1001.0, at=1001.0)
    assert not usage.plan(1002.0, at=1002.0)
    assert usage.plan(1062.0, at=1122.0)
    usage.take(1063.0)
    assert not usage.is_planned


def test_use_that_is_being_written_is_known() -> None:
    """The database does not have the use yet."""
    usage = Usage()
    usage.note("a", 1000.0)
    usage.take(1000.0)

    assert usage.last_used("a") == 1000.0
    usage.note("a", 1001.0)
    assert usage.last_used("a") == 1001.0
