"""Providers as `configure()` makes them for an outbox."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource

from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingLoggerProvider


@contextmanager
def outbox_provider(url: str, directory: str | None = None, *, durable: bool = False) -> Iterator[LoggerProvider]:
    """Yield a provider that stores records in an outbox, below a directory, and sends them to a server."""
    with tempfile.TemporaryDirectory(dir=directory) as outbox:
        destination = Destination(protocol=OtlpProtocol.HTTP, url=f"{url}/v1/logs")
        processor = OutboxLogRecordProcessor(Path(outbox), destination=destination, durable=durable)
        provider = CountingLoggerProvider(resource=Resource({"service.name": "benchmark"}), shutdown_on_exit=False)
        provider.open(Pipeline(parts=(processor,), exporters=(), has_outbox=True))
        yield provider
        provider.shutdown()
