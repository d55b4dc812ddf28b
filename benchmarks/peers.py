"""Measure the CPU time of one call that records an event, with heliograph and with its peers, in one run.

Each side makes an event of seven fields and an actor, and hands it over. What is measured is the CPU time of the process for that, in
rounds, one side after the other in each round. `track` with an outbox has the record on disk when it returns. All others that use
OpenTelemetry have it in the queue of a batch processor, whose exporter drops it at once, so that their encoding and sending are
missing here (`paths.py` compares the whole path). structlog writes JSON to a file that discards it. jupyter_events validates the
event and writes JSON into memory. datasette-events-db inserts a row into a database of SQLite in memory.

A side whose package is not installed is left out, and named.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["DATASETTE_LOAD_PLUGINS"] = (
    "datasette-events-db"  # read when Datasette is imported: no other plugin takes part
)

from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import (
    BatchLogRecordProcessor,
    LogRecordExporter,
    LogRecordExportResult,
)
from parts.shipments import OrderShipped, attributes_of, order_shipped

from heliograph import Host, Settings
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingLoggerProvider
from heliograph.settings import Signal

CALLS = 200
ROUNDS = 40
BASE = "track, outbox"
Call = Callable[[], object]


class Discarding(LogRecordExporter):
    """Drops all records."""

    def export(self, batch: object) -> LogRecordExportResult:
        """Drop records."""
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: float = 0) -> bool:
        """Do nothing."""
        return True


def queueing() -> LoggerProvider:
    """Return a provider of the SDK with a batch processor, whose records go nowhere."""
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(Discarding()))
    return provider


def to_outbox(directory: Path) -> LoggerProvider:
    """Return a provider as `configure()` makes it for an outbox, whose server cannot be reached."""
    destination = Destination(protocol=OtlpProtocol.HTTP, url="http://127.0.0.1:9/v1/logs")
    outbox = OutboxLogRecordProcessor(directory, destination=destination)
    provider = CountingLoggerProvider(shutdown_on_exit=False)
    provider.open(Pipeline(parts=(outbox,), exporters=(), has_outbox=True, stops=(lambda: outbox.shutdown(0),)))
    return provider


def tracking(provider: LoggerProvider) -> Call:
    """Return `track`, with a log record alone."""
    host = Host(Settings(signals=(Signal.LOG,)), events=[OrderShipped], logger_provider=provider)
    host.__enter__()
    return lambda: host.track(order_shipped())


def emitting(provider: LoggerProvider) -> Call:
    """Return OpenTelemetry's own `Logger.emit`."""
    logger = provider.get_logger("benchmark")

    def emit() -> None:
        logger.emit(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            body="order-shipped",
            attributes=attributes_of(order_shipped()),
            event_name="shop.order_shipped",
        )

    return emit


def python_logger(name: str, handler: logging.Handler) -> logging.Logger:
    """Return a logger of the standard library with this handler alone."""
    logger = logging.getLogger(f"benchmark.{name}")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return logger


def with_handler() -> Call:
    """Return the standard library's `info`, with OpenTelemetry's handler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        handler = LoggingHandler(logger_provider=queueing())
    logger = python_logger("handler", handler)
    return lambda: logger.info("order-shipped", extra=attributes_of(order_shipped()))


def with_structlog() -> Call:
    """Return the `info` of structlog, which writes a line of JSON."""
    import structlog

    logger = structlog.wrap_logger(
        structlog.BytesLogger(Path(os.devnull).open("wb")),  # noqa: SIM115 — open until the end of the process
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(serializer=lambda *args, **kwargs: _json(*args, **kwargs).encode()),
        ],
    )
    return lambda: logger.info("order-shipped", **attributes_of(order_shipped()))


def _json(*args: Any, **kwargs: Any) -> str:
    import json

    return json.dumps(*args, **kwargs)


def with_logfire() -> Call:
    """Return the `info` of logfire, whose spans go to no exporter."""
    import logfire

    logfire.configure(send_to_logfire=False, console=False)
    return lambda: logfire.info("order-shipped", **attributes_of(order_shipped()))


def with_jupyter_events() -> Call:
    """Return the `emit` of jupyter_events, with a schema."""
    from jupyter_events import EventLogger

    kinds = {"int": "integer", "str": "string", "bool": "boolean", "str | None": "string"}
    schema = {
        "$id": "https://example.com/order-shipped",
        "version": "1",
        "type": "object",
        "properties": {name: {"type": kinds[kind]} for name, kind in OrderShipped.__annotations__.items()},
    }
    logger = EventLogger(handlers=[logging.StreamHandler(io.StringIO())])
    logger.register_event_schema(schema)

    def emit() -> None:
        event = order_shipped()
        properties = {name: getattr(event, name) for name in OrderShipped.__annotations__}
        logger.emit(schema_id="https://example.com/order-shipped", data=properties)

    return emit


def with_events_db() -> Call:
    """Return Datasette's `track_event`, with datasette-events-db as its only plugin."""
    from datasette import hookimpl
    from datasette.app import Datasette
    from datasette.plugins import pm

    class Shop:
        @hookimpl
        def register_events(self, datasette: object) -> list[type]:
            return [OrderShipped]

    pm.register(Shop())
    loop = asyncio.new_event_loop()
    datasette = Datasette(memory=True)
    loop.run_until_complete(datasette.invoke_startup())
    return lambda: loop.run_until_complete(datasette.track_event(order_shipped()))


PEERS = {
    "structlog, JSON": ("structlog", with_structlog),
    "logging, OpenTelemetry's handler": ("opentelemetry", with_handler),
    "logfire": ("logfire", with_logfire),
    "jupyter_events": ("jupyter_events", with_jupyter_events),
    "datasette-events-db": ("datasette_events_db", with_events_db),
}


@contextlib.contextmanager
def sides() -> Iterator[dict[str, Call]]:
    """Yield the sides whose packages are installed."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        outboxes = [to_outbox(Path(directory) / name) for name in ("track", "emit")]
        for each in outboxes:
            stack.callback(each.pipeline.stop)
        found = {
            BASE: tracking(outboxes[0]),
            "emit, outbox": emitting(outboxes[1]),
            "track, SDK's queue": tracking(queueing()),
            "emit, SDK's queue": emitting(queueing()),
        }
        for name, (package, make) in PEERS.items():
            if importlib.util.find_spec(package) is None:
                print(f"{name}: {package} is not installed")
            else:
                found[name] = make()
        yield found


def cpu_micros(call: Call) -> float:
    """Return the CPU time of the process for a call, in µs, on average over a round."""
    before = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - before) / CALLS * 1e6


def main() -> int:
    """Print the figures."""
    logging.disable(logging.NOTSET)
    with sides() as calls:
        rounds = [{name: cpu_micros(call) for name, call in calls.items()} for _ in range(ROUNDS)]
    for name in calls:
        ratio = statistics.median(each[name] / each[BASE] for each in rounds)
        print(f"{name:34} {statistics.median(each[name] for each in rounds):8.2f} µs a call {ratio:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
