"""`heliograph tail --await` ends when one thing has arrived."""

from __future__ import annotations

from heliograph.cli.tail_awaited import Awaited
from heliograph.cli.tail_filter import ArrivalFilter
from receiver.requests import log_request, span_request


def test_first_arrival_that_fits_is_reported_once() -> None:
    """Further arrivals, in the same request or later, are not reported."""
    calls: list[str] = []
    awaited = Awaited(ArrivalFilter(names=("app.two",)), lambda: calls.append("arrived"))
    awaited.look(log_request("app.one"))
    awaited.look(span_request("GET /"))
    assert (awaited.has_arrived, calls) == (False, [])

    for _ in range(2):
        awaited.look(log_request("app.one", "app.two", "app.two"))
    assert (awaited.has_arrived, calls) == (True, ["arrived"])
