"""An event becomes telemetry: a log-based Event, and a span event."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Final

from opentelemetry.context import Context, get_current
from opentelemetry.trace import NonRecordingSpan, get_current_span, set_span_in_context

from heliograph.errors import OutboxFull
from heliograph.events import EventLike
from heliograph.quarantine.record import InvalidRecord
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, describe_violations
from heliograph.semconv import EVENT_CREATED, EVENT_OVERFLOW, EVENT_VERSION, EVENT_VIOLATIONS, LOG_RECORD_UID, SCOPE
from heliograph.settings import Settings, Signal
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.invalid_events import InvalidEventHandler
from heliograph.telemetry.metrics import error_type, metrics_of
from heliograph.telemetry.otel_api import Logger, SeverityNumber
from heliograph.telemetry.providers import Providers
from heliograph.telemetry.uid import UidGenerator
from heliograph.values.attributes import Attributes
from heliograph.values.forms import INT64_MAX, form_of
from heliograph.values.introspect import getattr_or_none
from heliograph.values.text import to_json

MAX_ATTRIBUTES: Final = 100
"""How many attributes an event has at most: the SDK drops those past 128, and says nothing."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)
_UID: Final = str(LOG_RECORD_UID)  # dicts are slow with keys of a subclass of str
_VERSION: Final = str(EVENT_VERSION)
_VIOLATIONS: Final = str(EVENT_VIOLATIONS)
_SEVERITY_NUMBERS: Final = tuple(SeverityNumber)  # by value, from UNSPECIFIED (0) on

logger: Final = logging.getLogger(SCOPE)


class Emitter:
    """Emits events to the chosen signals, and judges those that break their contracts.

    Telemetry does nothing to the program that it watches: nothing is raised, but for what the setting ``strict`` asks for.

    Args:
        settings: Which signals, which keys of the actor, and what becomes of invalid events.
        providers: Where telemetry goes.
        actor: Which of an actor's keys are exported, and how.
        set_aside: Keeps invalid events, where the settings say so.
        new_uid: Makes the unique id of an event, from its time in nanoseconds since the Unix epoch.
        clock: Gives the time in nanoseconds since the Unix epoch, for events whose own time OTLP cannot carry.
    """

    def __init__(
        self,
        settings: Settings,
        providers: Providers,
        actor: ActorFilter,
        *,
        set_aside: Callable[[InvalidRecord], None] | None = None,
        new_uid: Callable[[int], str] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._providers = providers
        self._metrics = metrics_of(providers)
        self._count = self._metrics.events.add
        self._put_actor = actor.put
        self._invalid_events = InvalidEventHandler(settings, self._metrics, actor, set_aside)
        self._validates = self._invalid_events.validates
        self._new_uid = new_uid or UidGenerator()
        self._clock = clock
        self._log = Signal.LOG in settings.signals
        self._span_event = Signal.SPAN_EVENT in settings.signals
        self._span = Signal.SPAN in settings.signals
        self._logger: Logger | None = None
        self._traces_seen = False
        self._told: set[Signal] = set()

    def emit(self, reader: EventReader, event: EventLike) -> None:
        """Emit the event, in the current context, and count it.

        Raises:
            InvalidEvent: It breaks its contract, and the settings are strict.
            OutboxFull: There is no room for it, and the settings are strict.
        """
        violations: list[Violation] | None = [] if self._validates else None
        attributes = reader.attributes(event, violations)
        try:
            actor = event.actor
            timestamp = (event.created - _EPOCH) // _MICROSECOND * 1000
            is_odd = type(timestamp) is not int or not 0 <= timestamp <= INT64_MAX
        except Exception:  # whatever the event is shaped like, it goes out
            actor = getattr_or_none(event, "actor")  # type: ignore[assignment]
            is_odd = True
        if actor is not None:
            if reader.shared_names:
                self._separate(reader.schema, attributes, actor)
            self._put_actor(attributes, actor)
        if is_odd:
            timestamp = self._odd_timestamp(getattr_or_none(event, "created"), attributes)
        uid = self._new_uid(timestamp)
        if violations is not None and (violations or not reader.schema.is_declared):
            if self._invalid_events.sets_aside(reader, event, uid, timestamp, violations):
                return
            attributes[_VIOLATIONS] = describe_violations(violations)
        self._send(reader, attributes, uid, timestamp, get_current())
        if reader.renamed is not None:
            self._emit_renamed(reader.renamed, event, attributes, timestamp)

    def _separate(self, schema: EventSchema, attributes: Attributes, actor: object) -> None:
        """Move properties that are called as one of the actor's attributes below the event's name: the actor is who did it."""
        theirs: Attributes = {}
        self._put_actor(theirs, actor)
        for attribute in schema.wire_attributes():
            if attribute.name in theirs and attribute.name in attributes:
                attributes[f"{schema.event_name}.{attribute.path}"] = attributes.pop(attribute.name)

    def _emit_renamed(self, renamed: EventReader, event: EventLike, sent: Attributes, timestamp: int) -> None:
        """Emit the event under its new name as well, with an id of its own: the other is that of a record received."""
        attributes = renamed.attributes(event)
        attributes.update((name, sent[name]) for name in (_VIOLATIONS, EVENT_CREATED) if name in sent)
        actor = getattr_or_none(event, "actor")
        if actor is not None:
            self._put_actor(attributes, actor)
        self._send(renamed, attributes, self._new_uid(timestamp), timestamp, get_current())

    def emit_again(self, reader: EventReader, record: InvalidRecord, attributes: Attributes) -> None:
        """Emit an event that was set aside: with its first id, time and actor, in the context of its span."""
        attributes = {**attributes, **record.actor}
        context = set_span_in_context(NonRecordingSpan(record.span), Context())
        self._send(reader, attributes, record.uid, record.time_unix_nano, context)

    def _send(self, reader: EventReader, attributes: Attributes, uid: str, timestamp: int, context: Context) -> None:
        schema = reader.schema
        attributes[_UID] = uid
        if schema.version is not None:
            attributes[_VERSION] = schema.version
        if len(attributes) > MAX_ATTRIBUTES:
            attributes = bounded(attributes)
        if self._log:
            self._emit_log(reader, attributes, timestamp, context)
        if self._span_event or self._span:
            self._emit_to_trace(schema.event_name, attributes, timestamp, context)
        self._count(schema.event_name)
        reader.coverage.record(attributes, timestamp)

    def _odd_timestamp(self, created: object, attributes: Attributes) -> int:
        """The time of a naive `created`, taken as UTC; of one that OTLP cannot carry, the time now, and its text."""
        if isinstance(created, datetime) and created.tzinfo is None:
            timestamp = (created.replace(tzinfo=timezone.utc) - _EPOCH) // _MICROSECOND * 1000
            if 0 <= timestamp <= INT64_MAX:
                return timestamp
        form = form_of(created)
        attributes[EVENT_CREATED] = form if isinstance(form, str) else to_json(form)
        return self._clock()

    def _emit_log(self, reader: EventReader, attributes: Attributes, timestamp: int, context: Context) -> None:
        try:
            log = self._logger or self._find_logger()
            if log is not None:
                log.emit(
                    timestamp=timestamp,
                    context=context,
                    severity_number=_SEVERITY_NUMBERS[reader.schema.severity],
                    body=reader.body_text(attributes),
                    attributes=attributes,
                    event_name=reader.schema.event_name,
                )
        except OutboxFull as error:  # an outbox raises it where the settings are strict, and else tells it itself
            self._failed(Signal.LOG, error)
            raise
        except Exception as error:
            self._failed(Signal.LOG, error)

    def _find_logger(self) -> Logger | None:
        if self._providers.has_logs():
            self._logger = self._providers.logger()
        else:
            self._tell_once(Signal.LOG, "LoggerProvider")
        return self._logger

    def _emit_to_trace(self, event_name: str, attributes: Attributes, timestamp: int, context: Context) -> None:
        try:
            span = get_current_span(context)
            if self._span_event and span.is_recording():
                span.add_event(event_name, attributes, timestamp)
            elif self._has_traces() and self._span:
                tracer = self._providers.tracer()
                tracer.start_span(event_name, context, attributes=attributes, start_time=timestamp).end(timestamp)
        except Exception as error:
            self._failed(Signal.SPAN_EVENT if self._span_event else Signal.SPAN, error)

    def _has_traces(self) -> bool:
        if not self._traces_seen:
            self._traces_seen = self._providers.has_traces()
        if not self._traces_seen:
            self._tell_once(Signal.SPAN_EVENT if self._span_event else Signal.SPAN, "TracerProvider")
        return self._traces_seen

    def _tell_once(self, signal: Signal, missing: str) -> None:
        if signal not in self._told:
            self._told.add(signal)
            logger.warning(
                "No %s is set, so no event goes out as %r. Say where to send it (OTEL_EXPORTER_OTLP_ENDPOINT, which the "
                "Datasette plugin and heliograph.configure() read), or take %r out of HELIOGRAPH_SIGNALS.",
                missing,
                signal.value,
                signal.value,
            )

    def _failed(self, signal: Signal, error: Exception) -> None:
        self._metrics.emit_failures.add(signal.value, error_type(error))
        logger.error("A provider failed to take an event as %r: %s", signal.value, error_type(error), exc_info=error)


def bounded(attributes: Attributes) -> Attributes:
    """At most `MAX_ATTRIBUTES` attributes: what is past them, but for the event's id, in one JSON object."""
    names = [LOG_RECORD_UID, *(name for name in attributes if name != LOG_RECORD_UID)]
    kept = {name: attributes[name] for name in names[: MAX_ATTRIBUTES - 1]}
    kept[EVENT_OVERFLOW] = to_json({name: attributes[name] for name in names[MAX_ATTRIBUTES - 1 :]})
    return kept
