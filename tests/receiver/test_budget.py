"""Requests in progress share a limit."""

from __future__ import annotations

import pytest

from heliograph.receiver.budget import Budget
from heliograph.receiver.contract import NotKept


def test_request_beyond_the_limit_is_refused() -> None:
    """A part is released at its end, and a request that is larger than the limit is admitted alone."""
    budget = Budget(10, "later")
    with budget.reserved(6):
        with budget.reserved(4):
            pass
        with pytest.raises(NotKept, match="later"), budget.reserved(5):
            pass
    with pytest.raises(ZeroDivisionError), budget.reserved(11):
        raise ZeroDivisionError
    with budget.reserved(11):
        pass
