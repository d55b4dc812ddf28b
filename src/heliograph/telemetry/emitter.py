"""Emit an event to OpenTelemetry as a log record, a span event or a span, by the setting ``HELIOGRAPH_SIGNALS``.

Steps for one event, in this order:

1. The event's reader returns its properties as attributes and, unless validation is off, its violations.
2. The actor's attributes are added. No property has one of them: `user.*` always means the actor. Then come those of the current
   request, if the setting ``HELIOGRAPH_CONTEXT`` names any, except for attributes that the class of the event declares.
3. The timestamp and the unique id are determined. An event in the quarantine has them too: it is replayed with both.
4. An event with violations is counted, and raised, put into the quarantine, or emitted with a description of them.
5. The same attributes, id and timestamp are emitted to each signal. A provider that fails is logged and counted, and the
   remaining signals are still emitted.

Emitting an event raises only two exceptions, both requested by the setting ``validation=strict``: `InvalidEvent` and
`OutboxFull`. No other problem of heliograph, of a provider or of an actor's code reaches the program.

Threads: any number of threads, and signal handlers, may emit at once. The emitter has no lock. The fields that it changes after its
construction are caches (`_logger` with `_log_limits`): two threads that find them empty do the work twice, which is harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Final

from opentelemetry.context import Context, get_current
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from heliograph.errors import OutboxFull
from heliograph.events import EventLike
from heliograph.quarantine.queue import QuarantineQueue
from heliograph.quarantine.record import InvalidRecord
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import getattr_or_none, program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, describe_violations
from heliograph.semconv import (
    EVENT_CREATED,
    EVENT_VERSION,
    EVENT_VIOLATIONS,
    LOG_RECORD_UID,
    SCOPE,
)
from heliograph.settings import Settings, Signal
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.emit_failures import EmitFailures
from heliograph.telemetry.encoded_events import SEVERITY_NUMBERS, STANDARD_ATTRIBUTES, Encoded, EncodedEvents, names_of
from heliograph.telemetry.invalid_events import InvalidEventHandler
from heliograph.telemetry.limits import Limits, limits_of_logger, warn_of_low_limits
from heliograph.telemetry.metrics import error_type, metrics_of
from heliograph.telemetry.missing_providers import MissingProviders, advice_for_host
from heliograph.telemetry.observers import observers, show_event
from heliograph.telemetry.otel_api import Logger
from heliograph.telemetry.providers import Providers
from heliograph.telemetry.request_context import RequestContext
from heliograph.telemetry.trace_emitter import TraceEmitter
from heliograph.telemetry.uid import UidGenerator
from heliograph.values.attributes import Attributes, merge_attributes
from heliograph.values.forms import form_of
from heliograph.values.scalars import INT64_MAX
from heliograph.values.standard_library import plain_datetime
from heliograph.values.text import to_json

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
# Dicts are slower with keys of a subclass of str.
_UID: Final = str(LOG_RECORD_UID)
_VERSION: Final = str(EVENT_VERSION)
_VIOLATIONS: Final = str(EVENT_VIOLATIONS)

logger: Final = SafeLogger(SCOPE)


class Emitter:
    """Emits events to the signals of the settings.

    Args:
        settings: The signals, and the treatment of invalid events.
        providers: The OpenTelemetry providers that telemetry goes to.
        actor: Selects the keys of an actor that are exported.
        quarantine: The quarantine for invalid events; `None` emits them.
        missing: Reports events that are not emitted for lack of a provider; `None` is one of a `heliograph.Host`.
        source: The object that observers recognize a host by.
        new_uid: Returns a new unique id for an event, given its time in nanoseconds since the Unix epoch.
        clock: Returns the time now in nanoseconds since the Unix epoch. It is used for events whose own time OTLP cannot
            represent.
    """

    def __init__(
        self,
        settings: Settings,
        providers: Providers,
        actor: ActorFilter,
        *,
        quarantine: QuarantineQueue | None = None,
        missing: MissingProviders | None = None,
        source: object = None,
        new_uid: Callable[[int], str] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._providers = providers
        self._metrics = metrics_of(providers)
        self._actor = actor
        self._context = RequestContext(settings.context, actor.policy)
        self._invalid_events = InvalidEventHandler(settings, self._metrics, actor, self._context, quarantine)
        self._new_uid = new_uid or UidGenerator()
        self._clock = clock
        self._signals = settings.signals
        self._emits_log = Signal.LOG in settings.signals
        self._logger: Logger | None = None
        self._encoded_events = EncodedEvents(settings, actor)
        self._log_limits = Limits()
        self._failures = EmitFailures(self._metrics, settings.signals)
        self._unreadable = LimitedLog(logger)
        warn_of_low_limits()
        self._show = partial(show_event, source)
        self._missing = missing or MissingProviders(settings.signals, providers, advice_for_host)
        self._trace_emitter = TraceEmitter(settings, providers, self._missing, self._failures)

    def emit(self, reader: EventReader, event: EventLike) -> None:
        """Emit an event in the current context, and count it.

        Args:
            reader: The reader of the event's class.
            event: The event.

        Raises:
            InvalidEvent: The event violates its schema, and the setting ``validation`` is ``strict``.
            OutboxFull: The outbox has no room for the event, and the setting ``validation`` is ``strict``.
        """
        violations: list[Violation] | None = [] if self._invalid_events.validates else None
        encoded = self._encoded_events.encode(reader, event, violations)
        attributes: Attributes = reader.attributes(event, violations) if encoded is None else {}
        created: object = None
        try:
            actor = event.actor
            timestamp = (event.created - _EPOCH) // _MICROSECOND * 1000
            is_representable = type(timestamp) is int and 0 <= timestamp <= INT64_MAX
        except program_errors():
            # `actor` or `created` is missing, of another type, or a property that raises. The event is emitted anyway.
            actor = self._read(reader, event, ProgramCode.ACTOR)  # type: ignore[assignment]
            is_representable = False
        is_actor_encoded = encoded is not None and actor is not None and self._encoded_events.put_actor(encoded, actor)
        if actor is not None and not is_actor_encoded:
            self._actor.put(attributes, actor)
        if self._context.names:
            self._context.put(attributes, reader)
        if not is_representable:
            created = self._read(reader, event, ProgramCode.CREATED)
            timestamp = self._substitute_timestamp(created, attributes)
        uid = self._new_uid(timestamp)
        if violations is not None and (violations or not reader.schema.is_declared):
            if self._is_set_aside(reader, event, attributes, uid, timestamp, violations, encoded):
                return
            attributes[_VIOLATIONS] = describe_violations(violations)
        if not is_representable and violations is not None and _naive(created) is not None:
            self._invalid_events.report_naive_time(reader, violations)
            attributes[_VIOLATIONS] = describe_violations(violations)
        context = get_current()
        if encoded is not None and not self._emit_encoded(encoded, attributes, uid, timestamp, context):
            encoded, attributes = None, self._unencoded(reader, event, actor if is_actor_encoded else None, attributes)
        self._emit_signals(reader, attributes, uid, timestamp, context, encoded)
        if observers and encoded is None:
            self._show(reader, event, attributes, uid=uid, timestamp=timestamp, violations=violations)
        if reader.renamed is not None:
            self._emit_renamed(reader.renamed, event, attributes, timestamp)

    def _is_set_aside(  # noqa: PLR0917 — the event as `emit` has read it
        self,
        reader: EventReader,
        event: EventLike,
        attributes: Attributes,
        uid: str,
        timestamp: int,
        violations: list[Violation],
        encoded: Encoded | None,
    ) -> bool:
        """Treat an invalid event as the setting ``validation`` demands. Return True if it is in the quarantine now, and not emitted.

        Raises:
            InvalidEvent: The setting is ``strict``.
        """
        is_set_aside = self._invalid_events.handle(reader, event, uid, timestamp, violations)
        # An event is encoded only without observers. One that was added since sees the next event.
        if is_set_aside and observers and encoded is None:
            self._show(
                reader,
                event,
                attributes,
                uid=uid,
                timestamp=timestamp,
                violations=violations,
                is_in_quarantine=True,
            )
        return is_set_aside

    def _unencoded(self, reader: EventReader, event: EventLike, actor: object, others: Attributes) -> Attributes:
        """Return all attributes of an event whose encoded record cannot be emitted.

        Args:
            reader: The reader of the event's class.
            event: The event.
            actor: The actor, if it was encoded, or else `None`.
            others: The attributes that were not encoded.
        """
        attributes = reader.attributes(event)
        if actor is not None:
            self._actor.put(attributes, actor)
        merge_attributes(attributes, others)
        return attributes

    def report_failure(self, error: BaseException) -> None:
        """Log and count the failure of a whole event, for each of its signals."""
        for signal in self._signals:
            self._failures.report(signal, error)

    def _read(self, reader: EventReader, event: EventLike, code: ProgramCode) -> object:
        """Return the actor or the time of an event, or `None` if the event has none or raises an exception instead."""
        try:
            return getattr(event, code.value, None)
        except program_errors() as error:
            report(code, error)
            label, name, kind = reader.schema.label, code.value, error_type(error)
            # Not the text of the exception, which may contain a private value.
            self._unreadable.log((label, name, kind), "`%s` of an event %s cannot be read: %s", name, label, kind)
            return None

    def _emit_renamed(self, renamed: EventReader, event: EventLike, first: Attributes, timestamp: int) -> None:
        """Emit an event for a second time, under its new name.

        It gets another unique id: receivers would drop it as a duplicate if it had the id of the first record.
        """
        attributes = renamed.attributes(event)
        attributes.update((name, first[name]) for name in (_VIOLATIONS, EVENT_CREATED) if name in first)
        actor = getattr_or_none(event, "actor")
        if actor is not None:
            self._actor.put(attributes, actor)
        self._context.put(attributes, renamed)
        self._emit_signals(renamed, attributes, self._new_uid(timestamp), timestamp, get_current())

    def replay(self, reader: EventReader, record: InvalidRecord, attributes: Attributes) -> None:
        """Emit an event from the quarantine, with its first id, time and actor, in the context of its span.

        Args:
            reader: The reader of the class that the event is valid for now.
            record: The event as the quarantine kept it.
            attributes: The properties of the event.
        """
        attributes = dict(attributes)
        merge_attributes(attributes, record.actor)
        # Context(), not the current one: the span of the record is the only context that belongs to the event.
        context = set_span_in_context(NonRecordingSpan(record.span), Context())
        self._emit_signals(reader, attributes, record.uid, record.time_unix_nano, context)

    def _emit_signals(  # noqa: PLR0917 — called for each event
        self,
        reader: EventReader,
        attributes: Attributes,
        uid: str,
        timestamp: int,
        context: Context,
        encoded: Encoded | None = None,
    ) -> None:
        """Emit an event to each signal, with the attributes that events of every class have. They are added to the others.

        If its log record is encoded, that was emitted before, with all attributes: nobody needs `attributes`.
        """
        schema = reader.schema
        if encoded is None:
            attributes[_UID] = uid
            if schema.version is not None:
                attributes[_VERSION] = schema.version
            if self._emits_log:
                self._emit_log(reader, attributes, timestamp, context)
        if self._trace_emitter.is_enabled:
            self._trace_emitter.emit(schema.event_name, attributes, uid, timestamp, context, encoded)
        self._metrics.events.add(schema.event_name)
        if reader.coverage.count(timestamp):
            reader.coverage.see(attributes if encoded is None else names_of(encoded), timestamp)

    def _substitute_timestamp(self, created: object, attributes: Attributes) -> int:
        """Return a timestamp for a `created` that is not an aware datetime in the range of OTLP.

        A naive datetime is in UTC, as in Datasette's own events. Anything else is kept as text in an attribute, and the
        timestamp is the time now. `None` says nothing, as in a class without that field.
        """
        naive = _naive(created)
        if naive is not None:
            timestamp = (naive.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND * 1000
            if 0 <= timestamp <= INT64_MAX:
                return timestamp
        if created is not None:
            form = form_of(created)
            attributes[EVENT_CREATED] = form if isinstance(form, str) else to_json(form)
        return self._clock()

    def _emit_log(self, reader: EventReader, attributes: Attributes, timestamp: int, context: Context) -> None:
        """Emit the log record of an event with its attributes. A failure of the provider is reported.

        Raises:
            OutboxFull: The outbox has no room for the event, and the setting ``validation`` is ``strict``.
        """
        try:
            log = self._logger or self._find_logger()
            if log is not None:
                # This comes before an attribute that the body shows is moved to the overflow.
                body = reader.body_text(attributes)
                limits = self._log_limits
                if len(attributes) > limits.count or limits.length is not None:
                    attributes = limits.apply(attributes)
                log.emit(
                    timestamp=timestamp,
                    context=context,
                    severity_number=SEVERITY_NUMBERS[reader.schema.severity],
                    body=body,
                    attributes=attributes,
                    event_name=reader.schema.event_name,
                )
        except OutboxFull as error:
            # An outbox raises it only if the settings are strict. Otherwise it logs it itself.
            self._failures.report(Signal.LOG, error)
            raise
        except program_errors() as error:
            # A provider's own code may raise anything.
            self._failures.report(Signal.LOG, error)

    def _emit_encoded(
        self, encoded: Encoded, attributes: Attributes, uid: str, timestamp: int, context: Context
    ) -> bool:
        """Emit the log record of an encoded event. Return False if it has to be emitted with attributes."""
        try:
            log, common, key_values = encoded
            if len(key_values) + len(attributes) + STANDARD_ATTRIBUTES > self._log_limits.count:
                return False
            return log.emit_encoded(common, key_values, attributes, uid, timestamp, context)
        except OutboxFull as error:  # as in `_emit_log`
            self._failures.report(Signal.LOG, error)
            raise
        except program_errors() as error:
            self._failures.report(Signal.LOG, error)
            return True

    def _find_logger(self) -> Logger | None:
        """Return the logger of the provider, and let all parts of the emitter use it; `None`, with a report, if no provider is set."""
        # Kept only once a provider is set. Until then the API returns a proxy, which would add a call to every later event.
        if self._providers.has_logs():
            log = self._providers.logger()
            self._log_limits = limits_of_logger(log)
            self._trace_emitter.use(log)
            self._encoded_events.use(log)
            # This comes last, so that another thread that finds the logger has the limits, too.
            self._logger = log
        else:
            self._missing.report(Signal.LOG, "LoggerProvider", is_lost=True)
        return self._logger


def _naive(created: object) -> datetime | None:
    """Return a datetime without a time zone as an instance of `datetime` itself; `None` for anything else."""
    # `isinstance` would ask the object for its `__class__`.
    if not issubclass(type(created), datetime):
        return None
    plain = plain_datetime(created)  # type: ignore[arg-type]
    return plain if plain.tzinfo is None else None
