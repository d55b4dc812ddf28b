"""The signals that an outbox delivers, logs and traces, as values that hold everything in which they differ.

Each has folders, journals, senders and dead letters of its own, so nothing of one waits for the other.

The first releases know log records only, and adopt each folder whose name has the form of theirs. So the folders of other signals have
names of another form: such a release ignores them, and neither sends nor deletes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans


@dataclass(frozen=True, kw_only=True, eq=False)
class OutboxSignal:
    """A signal that an outbox delivers. There is one object of each, so they are compared by identity.

    Attributes:
        name: The name, as in OpenTelemetry's variables (in upper case) and in the URLs of OTLP.
        number: The number in the header of segments.
        word: The singular noun for one of its records, in messages.
        folder_suffix: The end of the names of its folders.
        request_class: The class of its requests.
        scope_class: The class of the messages that hold the records of a scope.
        records_field: The field with the records in them.
        time_fields: The fields of a record with its time, the preferred one first.
        share: The part of the outbox's maximum size, and of the memory that is used instead, that is open to its records. If the outbox is
            full, records of a signal with a smaller share are dropped to make room for those of one with a greater share.
    """

    name: str
    number: int
    word: str
    folder_suffix: str
    request_class: type[Any]
    scope_class: type[Any]
    records_field: str
    time_fields: tuple[str, ...]
    share: float

    def __repr__(self) -> str:
        return f"<signal {self.name}>"


LOGS: Final = OutboxSignal(
    name="logs",
    number=1,
    word="record",
    folder_suffix="",
    request_class=ExportLogsServiceRequest,
    scope_class=ScopeLogs,
    records_field="log_records",
    time_fields=("observed_time_unix_nano", "time_unix_nano"),
    share=1.0,
)
TRACES: Final = OutboxSignal(
    name="traces",
    number=2,
    word="span",
    folder_suffix=".traces",
    request_class=ExportTraceServiceRequest,
    scope_class=ScopeSpans,
    records_field="spans",
    time_fields=("end_time_unix_nano", "start_time_unix_nano"),
    share=0.5,
)
SIGNALS: Final = (LOGS, TRACES)

BY_NAME: Final[Mapping[str, OutboxSignal]] = {signal.name: signal for signal in SIGNALS}
BY_NUMBER: Final[Mapping[int, OutboxSignal]] = {signal.number: signal for signal in SIGNALS}
_BY_SUFFIX: Final[Mapping[str, OutboxSignal]] = {signal.folder_suffix: signal for signal in SIGNALS}


def signal_of_folder(folder: Path) -> OutboxSignal:
    """Return the signal of a folder of the outbox, by its name."""
    return _BY_SUFFIX.get(folder.suffix, LOGS)
