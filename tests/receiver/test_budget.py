"""Requests in progress share a limit."""

from __future__ import annotations

import pytest

from heliograph.receiver.budget import Budget
from heliograph.receiver.contract import NotKept


def test_what_others_have_taken_is_refused() -> None:
    """It is given back at the end, and a request that is larger than everything is admitted alone."""
    budget = Budget(10, "later")
    with budget.admitted(6):
        with budget.admitted(4):
            pass
        with pytest.raises(NotKept, match="later"), budget.admitted(5):
            pass
    with pytest.raises(ZeroDivisionError), budget.admitted(11):
        raise ZeroDivisionError
    with budget.admitted(11):
        pass
