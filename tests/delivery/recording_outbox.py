"""An outbox in memory, behind a provider as `configure` makes it, and behind one of the SDK."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource

from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingLoggerProvider

RESOURCE = Resource({"service.name": "tests"})


class RecordingOutbox(OutboxLogRecordProcessor):
    """An outbox that keeps what it is given in memory, and counts the records that come as objects of the SDK."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, Any, bytes]] = []
        self.objects = 0

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.objects += 1
        super().on_emit(log_record)

    def append(self, resource: Any, instrumentation_scope: Any, message: bytes) -> None:
        self.messages.append((resource, instrumentation_scope, message))

    def decoded(self) -> list[Message]:
        return [Message.FromString(message) for _, _, message in self.messages]

    def shutdown(self, timeout_millis: float = 0) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True


def direct(limits: LogRecordLimits | None = None) -> tuple[CountingLoggerProvider, RecordingOutbox]:
    """Return a provider as `configure` makes it, and the outbox of its pipeline."""
    provider = CountingLoggerProvider(resource=RESOURCE, shutdown_on_exit=False, log_record_limits=limits)
    outbox = RecordingOutbox()
    provider.open(Pipeline(parts=(outbox,), exporters=(), has_outbox=True))
    return provider, outbox


def of_the_sdk(limits: LogRecordLimits | None = None) -> tuple[LoggerProvider, RecordingOutbox]:
    """Return a provider of the SDK, and the outbox that it has as a processor."""
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False, log_record_limits=limits)
    outbox = RecordingOutbox()
    provider.add_log_record_processor(outbox)
    return provider, outbox
