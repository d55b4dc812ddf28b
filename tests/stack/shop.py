"""A program with many events, which reads from its standard input what to do.

Each line is a JSON object: `events` is the number of events to track; with `spans`, each is tracked in a span of its own, and 50
spans are a trace. The answer is a line on standard output: the ids of the traces, and `flushed`, which is true if everything was
sent. With `flush: false` it does not wait for that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from opentelemetry import trace

from heliograph import Event, Host, configure, hookimpl

SPANS_OF_A_TRACE = 50
FLUSH_TIMEOUT_MILLIS = 60_000


@dataclass
class OrderEvent(Event, namespace="shop"):
    """Somebody ordered."""

    name = "order"
    number: int


class Shop:
    @hookimpl
    def register_events(self) -> list[type]:
        return [OrderEvent]


def order_in_spans(host: Host, count: int) -> Iterator[str]:
    """Track events in spans, and yield the id of each trace."""
    tracer = trace.get_tracer("shop")
    for first in range(0, count, SPANS_OF_A_TRACE):
        with tracer.start_as_current_span("first order") as root:
            host.track(OrderEvent(number=first))
            for number in range(first + 1, min(first + SPANS_OF_A_TRACE, count)):
                with tracer.start_as_current_span("order"):
                    host.track(OrderEvent(number=number))
        yield format(root.get_span_context().trace_id, "032x")


def main() -> None:
    with configure(plugins=[Shop()]) as host:
        for line in sys.stdin:
            command = json.loads(line)
            traces = list(order_in_spans(host, command["events"])) if command["spans"] else []
            if not command["spans"]:
                for number in range(command["events"]):
                    host.track(OrderEvent(number=number))
            flushed = command["flush"] and host.flush(FLUSH_TIMEOUT_MILLIS)
            print(json.dumps({"traces": traces, "flushed": flushed}), flush=True)


if __name__ == "__main__":
    main()
