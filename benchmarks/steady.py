"""Measure the requests and the CPU time of steady traffic: records that come one by one, a few hundred to thousand a second.

The outbox and the SDK's batch processor, with its OTLP/HTTP exporter, send the same records to a server that runs in its own
process and responds at once. For each rate, the number of requests a second is printed, and the CPU time that the other
threads than the emitting one need for a record. The goals are at most 10 requests a second, and half of that CPU time. (A burst
shows nothing of this: its requests are always full.)
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from parts.accepting import COUNTED, accepting, counted
from parts.orders import emit, logger_to

from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, OtlpProtocol

GOAL_REQUESTS = 10
GOAL_CPU = 0.5
RATES = (200, 2000, 5000)
SECONDS = 3


def emit_steadily(processor: LogRecordProcessor, rate: int) -> float:
    """Emit records, evenly spaced in time. Return the CPU time of the other threads for a record, in µs."""
    logger = logger_to(processor)
    emit(logger, 1)
    processor.force_flush(30_000)  # the connection, and what only the first request needs
    process, thread, began = time.process_time(), time.thread_time(), time.perf_counter()
    for number in range(rate * SECONDS):
        time.sleep(max(0.0, began + number / rate - time.perf_counter()))
        emit(logger, 1)
    others = time.process_time() - process - (time.thread_time() - thread)
    return others / (rate * SECONDS) * 1e6


def measure(name: str, processor: LogRecordProcessor, rate: int, url: str) -> tuple[float, float]:
    """Print the figures of one side. Return the number of requests a second, and the CPU time of a record in µs."""
    others = emit_steadily(processor, rate)
    requests = counted(url).requests / SECONDS
    processor.shutdown()
    # What was sent at the end, after all had been emitted.
    counted(url)
    print(f"  {name}  {requests:7.1f} requests a second; other threads need {others:6.1f} µs a record")
    return requests, others


def main() -> int:
    """Print the figures. Return 1 if a goal was missed."""
    is_met = True
    with accepting() as url, tempfile.TemporaryDirectory() as directory:
        endpoint = url + COUNTED
        destination = Destination(protocol=OtlpProtocol.HTTP, url=endpoint)
        for rate in RATES:
            print(f"{rate} records a second")
            _, sdk = measure("SDK batch processor", BatchLogRecordProcessor(OTLPLogExporter(endpoint)), rate, url)
            outbox = OutboxLogRecordProcessor(Path(directory), destination=destination)
            requests, own = measure("outbox             ", outbox, rate, url)
            print(f"  ratio of CPU time {own / sdk:6.2f}    (goals: at most {GOAL_CPU}, and {GOAL_REQUESTS} requests)")
            is_met = is_met and requests <= GOAL_REQUESTS and own / sdk <= GOAL_CPU
    return int(not is_met)


if __name__ == "__main__":
    sys.exit(main())
