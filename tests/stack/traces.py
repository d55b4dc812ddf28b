"""The traces of the program of `stack/shop.py` in Jaeger."""

from __future__ import annotations

from collections.abc import Sequence

from backends import Jaeger, wait_until
from stack.shop import SPANS_OF_A_TRACE


def event_uids(jaeger: Jaeger, trace_ids: Sequence[str], *, timeout_seconds: float) -> set[str]:
    """Wait until Jaeger has all spans of the traces, and return the unique ids of their events."""
    uids: dict[str, set[str]] = {}

    def all_there() -> bool:
        for trace_id in trace_ids:
            spans = jaeger.trace(trace_id) if trace_id not in uids else []
            if len({span.span_id for span in spans}) == SPANS_OF_A_TRACE:
                uids[trace_id] = {str(event.attributes["log.record.uid"]) for span in spans for event in span.events}
        return len(uids) == len(trace_ids)

    wait_until(all_there, timeout_seconds=timeout_seconds, interval_seconds=0.5)
    return set[str]().union(*uids.values())
