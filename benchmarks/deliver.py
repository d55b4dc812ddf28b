"""What delivering log records costs: from `emit` to the acknowledged request, in CPU time of the whole process.

Side by side in one run, with the same records and a server of its own process that answers at once: the outbox (durable,
`normal`), and the SDK's batch processor with its OTLP/HTTP exporter. Rounds are small enough for the SDK's queue, since it
drops what is more. Prints the median of the ratios, with one and with four emitting threads; the goal is 0.4.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from heliograph.delivery.destination import Destination, OtlpProtocol
from heliograph.delivery.processor import OutboxLogRecordProcessor

GOAL = 0.4
ROUNDS = 30
RECORDS = 2000
ATTRIBUTES = {
    "log.record.uid": "0199b3c0-5a5e-7c3a-8a51-9d2e6f6f0f4b",
    "user.id": "root",
    "shop.order_shipped.order": 4711,
    "shop.order_shipped.customer": "Ada",
    "shop.order_shipped.country": "GB",
    "shop.order_shipped.carrier": "post",
    "shop.order_shipped.parcels": 3,
    "shop.order_shipped.express": True,
    "shop.order_shipped.note": "fragile",
}


class Accepting(BaseHTTPRequestHandler):
    """Takes everything at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Say yes."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(connection: Connection) -> None:
    """Listen on a free port of 127.0.0.1, and tell which."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
    connection.send(server.server_port)
    server.serve_forever()


def emitting(processor: LogRecordProcessor, threads: int) -> Callable[[], None]:
    """A function that emits a round of records, and waits until they are acknowledged."""
    provider = LoggerProvider(resource=Resource({"service.name": "benchmark"}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("benchmark", "1")

    def emit() -> None:
        for _ in range(RECORDS // threads):
            logger.emit(
                LogRecord(
                    context=Context(),
                    timestamp=1767322800_000_000_000,
                    severity_number=SeverityNumber.INFO,
                    body="order 4711 shipped",
                    attributes=ATTRIBUTES,
                    event_name="shop.order_shipped",
                )
            )

    def round_of() -> None:
        workers = [threading.Thread(target=emit) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert processor.force_flush(30_000)

    return round_of


def cpu_seconds(function: Callable[[], None]) -> float:
    """The CPU time of the process for one call."""
    before = time.process_time()
    function()
    return time.process_time() - before


def main() -> int:
    """Print the ratios; whether the goal was reached."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    endpoint = f"http://127.0.0.1:{ours.recv()}/v1/logs"
    worst = 0.0
    with tempfile.TemporaryDirectory() as directory:
        outbox = OutboxLogRecordProcessor(
            Path(directory), destination=Destination(protocol=OtlpProtocol.HTTP, url=endpoint)
        )
        batch = BatchLogRecordProcessor(OTLPLogExporter(endpoint))
        for threads in (1, 4):
            sides = emitting(batch, threads), emitting(outbox, threads)
            rounds = [[cpu_seconds(side) / RECORDS * 1e6 for side in sides] for _ in range(ROUNDS)]
            sdk, own = (statistics.median(side) for side in zip(*rounds))
            ratio = statistics.median(own / sdk for sdk, own in rounds)
            worst = max(worst, ratio)
            print(f"{threads} emitting thread{'s' * (threads > 1)}, {RECORDS} records a round, {ROUNDS} rounds")
            print(f"  SDK batch processor {sdk:6.2f} µs a record")
            print(f"  outbox, durable     {own:6.2f} µs a record")
            print(f"  ratio               {ratio:6.2f}    (goal: at most {GOAL})")
        outbox.shutdown()
        batch.shutdown()
    server.terminate()
    server.join()
    return int(worst > GOAL)


if __name__ == "__main__":
    sys.exit(main())
