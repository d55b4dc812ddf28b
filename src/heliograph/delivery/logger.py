"""A logger of the SDK that encodes records straight into an outbox.

The SDK makes three objects of each record (`LogRecord`, `ReadWriteLogRecord`, `BoundedAttributes`) and hands them from processor to
processor. If an outbox is the only place that records go to, nobody needs these objects: encoding the arguments of `emit` yields the
same bytes at half the cost. This is what `OutboxLogger` does.

The properties of an event may be encoded before, by code that is generated for its class (`heliograph.telemetry.encoded_events`).
`OutboxLogger.emit_encoded` then adds the rest of the record.

Everything else goes to the SDK's own `Logger.emit`: records of a provider that has other processors, `LogRecord` objects, exceptions, and
attributes that the SDK would change, cut or drop. Then the SDK hands the record to `OutboxLogRecordProcessor.on_emit`, which calls
`OutboxLogRecordProcessor.append`, too.

An `OutboxLogger` is a logger that the SDK made, with another class: so its provider knows it, and renews its resource after a fork. It
reads private fields of the SDK's logger (`_PRIVATE`). In a release of the SDK that has others, loggers stay as they are. The loggers of a
provider that `configure` made are `OutboxLogger` objects from the start. Of a provider that the program made, only heliograph's own logger
becomes one (`OutboxLogRecordProcessor.prepare_logger`).

Threads: any thread may emit, and so may a signal handler. The fields are set once.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

from opentelemetry.context import Context, get_current
from opentelemetry.sdk._logs import Logger, LogRecordLimits
from opentelemetry.trace import Span, SpanContext, get_current_span

from heliograph.delivery.encoding.attributes import NotCleanError, put_attributes
from heliograph.delivery.encoding.declared import DeclaredAttributes
from heliograph.delivery.encoding.log_records import (
    encode_content,
    encode_event_name,
    encode_fields,
    encode_trace,
    join_fields,
)
from heliograph.delivery.encoding.span_events import add_encoded_event, takes_encoded_events
from heliograph.semconv import EVENT_VERSION, LOG_RECORD_UID
from heliograph.telemetry.otel_api import SeverityNumber
from heliograph.values.attributes import Attributes

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

_PRIVATE: Final = ("_instrumentation_scope", "_is_enabled", "_log_record_limits", "_logger_metrics", "_resource")
_UNLIMITED: Final = 2**31


class RecordStore(Protocol):
    """The processor of an outbox, which stores encoded records: `heliograph.delivery.processor.OutboxLogRecordProcessor`."""

    def append(
        self, resource: Resource | None, instrumentation_scope: InstrumentationScope | None, message: bytes
    ) -> None:
        """Store a record."""


class Processors(Protocol):
    """All processors that a provider hands records to."""

    @property
    def only_outbox(self) -> RecordStore | None:
        """The outbox if records have to go nowhere else, else `None`. It is read for each record."""


class CommonFields(NamedTuple):
    """The fields that all records of an event class have.

    Attributes:
        content: The severity and the body.
        event_name: The name of the event.
        uids: The bytes before the unique id, by its size.
        version: The attribute for the version of the class; may be empty.
    """

    content: bytes
    event_name: bytes
    uids: Mapping[int, bytes]
    version: bytes


class OutboxLogger(Logger):
    """A logger of the SDK whose records go straight to an outbox, if its provider has nothing else to do with them.

    It also has the attributes and methods of `heliograph.telemetry.encoded_events.EncodingLogger`, which documents them.
    """

    takes_bytes: ClassVar[bool] = True

    key_values: Final = DeclaredAttributes()
    _processors: Processors
    _max_attributes: int

    def emit(
        self,
        record: LogRecord | None = None,
        *,
        timestamp: int | None = None,
        observed_timestamp: int | None = None,
        context: Context | None = None,
        severity_number: SeverityNumber | None = None,
        severity_text: str | None = None,
        body: Any = None,
        attributes: Mapping[str, Any] | None = None,
        event_name: str | None = None,
        exception: BaseException | None = None,
    ) -> None:
        """Emit a record: see `opentelemetry.sdk._logs.Logger.emit`.

        Raises:
            OutboxFull: The outbox is full, and strict.
        """
        outbox = self._processors.only_outbox
        key_values: list[bytes] = []
        if (
            outbox is None
            or record is not None
            or exception is not None
            or not (attributes is None or self._put_attributes(key_values, attributes))
        ):
            super().emit(
                record,
                timestamp=timestamp,
                observed_timestamp=observed_timestamp,
                context=context,
                severity_number=severity_number,
                severity_text=severity_text,
                body=body,
                attributes=attributes,
                event_name=event_name,
                exception=exception,
            )
        elif self._is_enabled():
            self._logger_metrics.emit_log()
            encoded = encode_fields(
                timestamp,
                severity_number,
                severity_text,
                body,
                key_values,
                _trace_of(context or get_current()),
                time_ns() if observed_timestamp is None else observed_timestamp,
                event_name,
            )
            outbox.append(self._resource, self._instrumentation_scope, encoded)

    @property
    def max_attributes(self) -> int:
        """The number of attributes that an encoded event may have: 0 if there is more to do with a record than to store it."""
        return 0 if self._processors.only_outbox is None else self._max_attributes

    def common_fields(
        self, severity_number: SeverityNumber, body: str, event_name: str, version: str | None
    ) -> CommonFields:
        """Return the fields that all records of an event class have."""
        attributes: list[bytes] = []
        self.key_values.put(attributes, {} if version is None else {str(EVENT_VERSION): version})
        return CommonFields(
            encode_content(severity_number, None, body),
            encode_event_name(event_name),
            self.key_values.texts(str(LOG_RECORD_UID)),
            b"".join(attributes),
        )

    def emit_encoded(  # noqa: PLR0917 — called for each event
        self,
        common: CommonFields,
        key_values: list[bytes],
        attributes: Attributes,
        uid: str,
        timestamp: int,
        context: Context,
    ) -> bool:
        """Emit the record of an event: see `EncodingLogger`.

        Raises:
            OutboxFull: The outbox is full, and strict.
        """
        outbox = self._processors.only_outbox
        if outbox is None or (attributes and not self._put_attributes(key_values, attributes)):
            return False
        data = uid.encode()
        key_values.append(common.uids[len(data)] + data)
        if common.version:
            key_values.append(common.version)
        if self._is_enabled():
            self._logger_metrics.emit_log()
            trace = _trace_of(context)
            encoded = join_fields(timestamp, common.content, key_values, trace, time_ns(), common.event_name)
            outbox.append(self._resource, self._instrumentation_scope, encoded)
        return True

    def takes_span_events(self, span: Span) -> bool:
        """Return True if `add_span_event` should be used for a span: see `EncodingLogger`."""
        return takes_encoded_events(span)

    def add_span_event(self, span: Span, event_name: str, key_values: list[bytes], timestamp: int) -> None:
        """Add an event to a span: see `EncodingLogger`."""
        add_encoded_event(span, event_name, key_values, timestamp)

    def _put_attributes(self, key_values: list[bytes], attributes: Mapping[str, Any]) -> bool:
        """Encode attributes. Return False if the SDK would change or drop one, or has to read them."""
        if type(attributes) is not dict or len(attributes) > self._max_attributes:
            return False
        try:
            put_attributes(key_values, attributes, only_clean=True)
        except NotCleanError:
            return False
        return True


_last_trace: tuple[object, bytes] = (None, b"")
"""The last span context with its fields: most records of a thread have the same one. Replaced as a whole."""


def _trace_of(context: Context) -> bytes:
    """Return the fields of a log record that name the span of a context."""
    global _last_trace  # noqa: PLW0603 — see there
    span_context = get_current_span(context).get_span_context()
    known, fields = _last_trace
    if span_context is not known:
        fields = encode_trace(span_context.trace_id, span_context.span_id, span_context.trace_flags)
        # An object of this class never changes. One of another class might.
        if type(span_context) is SpanContext:
            _last_trace = (span_context, fields)
    return fields


def make_outbox_logger(logger: object, processors: Processors) -> None:
    """Turn a logger of the SDK's own class into an `OutboxLogger`. Any other logger stays as it is."""
    if type(logger) is not Logger or not all(hasattr(logger, name) for name in _PRIVATE):
        return
    limits: LogRecordLimits = logger._log_record_limits  # noqa: SLF001 — see the top of this module
    # The class comes last: another thread that has the same logger finds all fields then.
    vars(logger).update(_processors=processors, _max_attributes=_max_attributes(limits))
    logger.__class__ = OutboxLogger


def _max_attributes(limits: LogRecordLimits) -> int:
    """Return the largest number of attributes that these limits leave as they are."""
    if limits.max_log_record_attribute_length is not None:
        # Each text would have to be compared with the limit.
        return 0
    return _UNLIMITED if limits.max_log_record_attributes is None else limits.max_log_record_attributes
