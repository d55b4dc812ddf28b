"""The waits between attempts to send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery.sending.backoff import Backoff


@given(st.lists(st.none() | st.floats(0, 1000), max_size=60), st.floats(0, 1, exclude_max=True))
def test_wait_is_a_random_share_of_a_ceiling_that_doubles(asked: list[float | None], drawn: float) -> None:
    """Up to a minute, and never less than the server asked for."""
    backoff = Backoff(initial=1, maximum=60, random=lambda: drawn)

    for failures, retry_after in enumerate(asked):
        floor = retry_after or 0.0
        assert backoff.next(retry_after) == floor + drawn * min(60, 2**failures)


def test_reset_starts_again_from_the_first_wait() -> None:
    """The number of failures before it may be any, and causes no overflow."""
    backoff = Backoff(initial=1, maximum=60, random=lambda: 0.5)

    assert [backoff.next() for _ in range(5000)][-1] == 30
    backoff.reset()
    assert backoff.next() == 0.05
    assert [backoff.next() for _ in range(3)] == [0.5, 1, 2]


def test_first_wait_after_a_success_is_short_unless_the_server_asks_for_more() -> None:
    """A server that fails now and then costs little time. Clients that it asks to wait do not return at the same moment."""
    backoff = Backoff(initial=1, after_success=0.1, random=lambda: 0.5)
    assert backoff.next() == 0.5
    for _ in range(3):
        backoff.reset()
        assert backoff.next() == 0.05
    backoff.reset()
    assert backoff.next(3) == 3.5


def test_default_waits_are_random() -> None:
    """Two processes that fail at the same time do not return at the same time."""
    assert len({Backoff().next() for _ in range(20)}) > 1
    assert all(0 <= Backoff().next() < 1 for _ in range(20))
