"""The waits between attempts to send."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery.backoff import Backoff


@given(st.lists(st.none() | st.floats(0, 1000), max_size=60), st.floats(0, 1, exclude_max=True))
def test_backoff(asked: list[float | None], drawn: float) -> None:
    """Full jitter under a ceiling that doubles up to a minute; never before the server said."""
    backoff = Backoff(initial=1, maximum=60, random=lambda: drawn)

    for failures, retry_after in enumerate(asked):
        floor = retry_after or 0.0
        assert backoff.next(retry_after) == floor + drawn * min(60, 2**failures)


def test_backoff_begins_anew() -> None:
    """After a success the first wait is short again; after any number of failures nothing overflows."""
    backoff = Backoff(initial=1, maximum=60, random=lambda: 0.5)

    assert [backoff.next() for _ in range(5000)][-1] == 30
    backoff.reset()
    assert backoff.next() == 0.5


def test_backoff_is_random_by_itself() -> None:
    """Two processes that begin together do not come together."""
    assert len({Backoff().next() for _ in range(20)}) > 1
    assert all(0 <= Backoff().next() < 1 for _ in range(20))
