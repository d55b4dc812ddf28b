"""Measure the CPU time of an event on each path, from the call to the acknowledged request, against OpenTelemetry's SDK.

Every side sends to the same server, which runs in its own process and responds at once. For each side two times are measured, in
rounds that fit into the SDK's queue, one side after the other in each round: the CPU time of the calling thread (with an outbox, that
includes the durable write), and that of the whole process, from the first call until everything is acknowledged.

The sides are `Logger.emit` with the SDK's batch processor and OTLP/HTTP exporter (the base of all ratios), `Logger.emit` with the
provider that `configure()` makes for an outbox, and `track` with the latter, with a log record alone and with a span event.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from parts.accepting import accepting
from parts.orders import ATTRIBUTES
from parts.outboxes import outbox_provider
from parts.shipments import OrderShipped, order_shipped

from heliograph import Host, Settings
from heliograph.settings import Signal

RECORDS = 2000
ROUNDS = 25
GOALS = {"emit, outbox": (None, 0.28), "track, outbox": (0.75, 0.30)}
"""The largest ratios of the call and of the whole path, for the sides that have a goal."""
RESOURCE = Resource({"service.name": "benchmark"})


@dataclass
class Side:
    """One way to emit events.

    Attributes:
        call: Emits one event.
        make: Makes what it gets, outside of the measurement.
        flush: Waits until everything is acknowledged.
        calls: The CPU time of a call in each round, in µs.
        wholes: The CPU time of the process for an event in each round, in µs.
    """

    call: Callable[[Any], object]
    make: Callable[[], object]
    flush: Callable[[], bool]
    calls: list[float]
    wholes: list[float]

    def measure(self) -> None:
        """Measure a round."""
        call, events = self.call, [self.make() for _ in range(RECORDS)]
        process, thread = time.process_time(), time.thread_time()
        for event in events:
            call(event)
        self.calls.append((time.thread_time() - thread) / RECORDS * 1e6)
        assert self.flush()
        self.wholes.append((time.process_time() - process) / RECORDS * 1e6)


def side(call: Callable[[Any], object], make: Callable[[], object], flush: Callable[[], bool]) -> Side:
    """Return a side without measurements."""
    return Side(call, make, flush, [], [])


def emitting(provider: LoggerProvider) -> Side:
    """Return `Logger.emit` with a provider."""
    logger = provider.get_logger("benchmark", "1")

    def emit(attributes: dict[str, Any]) -> None:
        logger.emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            body="order-shipped",
            attributes=attributes,
            event_name="shop.order_shipped",
        )

    return side(emit, lambda: {str(name): value for name, value in ATTRIBUTES.items()}, provider.force_flush)


def tracking(provider: LoggerProvider, *signals: Signal) -> Side:
    """Return `track` with a provider."""
    host = Host(Settings(signals=signals), events=[OrderShipped], logger_provider=provider, tracer_provider=TRACERS)
    host.__enter__()
    return side(host.track, order_shipped, provider.force_flush)


TRACERS = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)


def sdk_provider(url: str) -> LoggerProvider:
    """Return a provider with the SDK's batch processor and exporter."""
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{url}/v1/logs")))
    return provider


def main() -> int:
    """Print the figures. Return 1 if a goal was missed."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(accepting())
        sdk = sdk_provider(url)
        outboxes = [stack.enter_context(outbox_provider(url)) for _ in range(3)]
        sides = {
            "emit, SDK": emitting(sdk),
            "emit, outbox": emitting(outboxes[0]),
            "track, outbox": tracking(outboxes[1], Signal.LOG),
        }
        for _ in range(ROUNDS):
            for each in sides.values():
                each.measure()
        is_met = report(sides)
        sdk.shutdown()
    return int(not is_met)


def report(sides: dict[str, Side]) -> bool:
    """Print the medians, and return True if they meet the goals."""
    base = sides["emit, SDK"]
    is_met = True
    for name, each in sides.items():
        ratios = [
            statistics.median(own / sdk for own, sdk in zip(*pair))
            for pair in ((each.calls, base.calls), (each.wholes, base.wholes))
        ]
        goals = GOALS.get(name, (None, None))
        print(
            f"{name:16} call {statistics.median(each.calls):6.2f} µs ({ratios[0]:.2f})   "
            f"whole {statistics.median(each.wholes):6.2f} µs ({ratios[1]:.2f})   goals {goals}"
        )
        is_met = is_met and all(goal is None or ratio <= goal for ratio, goal in zip(ratios, goals))
    return is_met


if __name__ == "__main__":
    sys.exit(main())
