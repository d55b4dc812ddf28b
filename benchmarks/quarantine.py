"""Measure an event that is set aside: the time of the thread that tracks it, compared with an event that is emitted to an outbox.

Both are measured in turns, and the median ratio counts. A thread puts the events into the quarantine, in groups.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk._logs import LoggerProvider
from parts.accepting import accepting

from heliograph import Event, Host, Settings, Signal, Validation
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.quarantine.store import Quarantine

GOAL = 5.0
EVENTS = 2000
ROUNDS = 9


@dataclass
class OrderShippedEvent(Event, namespace="shop"):
    """An order was shipped."""

    name = "order-shipped"
    order: int
    customer: str
    country: str
    parcels: int
    express: bool
    note: str


GOOD = OrderShippedEvent(order=4711, customer="Ada", country="GB", parcels=3, express=True, note="fragile")
BAD = OrderShippedEvent(order=4711, customer="Ada", country="GB", parcels="three", express=True, note="fragile")  # type: ignore[arg-type]


def seconds_of(host: Host, event: Event) -> float:
    """Return the time of the calling thread for some events, in seconds."""
    began = time.thread_time()
    for _ in range(EVENTS):
        host.track(event)
    return time.thread_time() - began


def main() -> int:
    """Print the ratio. Return 1 if the goal was missed."""
    with accepting() as url, tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "quarantine.db")
        destination = Destination(protocol=OtlpProtocol.HTTP, url=f"{url}/v1/logs")
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(OutboxLogRecordProcessor(Path(directory, "outbox"), destination=destination))
        settings = Settings(signals=frozenset({Signal.LOG}), validation=Validation.QUARANTINE, quarantine=path)
        with Host(settings, events=[OrderShippedEvent], logger_provider=provider) as host:
            ratios = [seconds_of(host, BAD) / seconds_of(host, GOOD) for _ in range(ROUNDS)]
        provider.shutdown()
        assert sum(Quarantine(path).counts().values()) == EVENTS * ROUNDS, "none is lost"
    ratio = statistics.median(ratios)
    print(f"an event that is set aside, compared with one that is emitted: {ratio:.2f} × (goal: at most {GOAL:.0f})")
    return int(ratio > GOAL)


if __name__ == "__main__":
    sys.exit(main())
