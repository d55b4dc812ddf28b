"""Treat an event that violates its schema as the setting ``HELIOGRAPH_VALIDATION`` demands.

``warn`` counts and logs the violations and lets the event be emitted, ``quarantine`` puts it into the quarantine instead, and
``strict`` raises `InvalidEvent`. The log has one line for each class and kind of violation, then one a minute at most. With ``off``,
events are not validated, and nothing here is called.
"""

from __future__ import annotations

import logging
from typing import Final

from opentelemetry.trace import get_current_span

from heliograph.classes import qualified_name
from heliograph.errors import InvalidEvent
from heliograph.events import EventLike
from heliograph.quarantine.queue import QuarantineQueue
from heliograph.quarantine.record import InvalidRecord
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import getattr_or_none, program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, ViolationKind, describe_violations
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, Validation
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.metrics import Metrics
from heliograph.telemetry.request_context import RequestContext
from heliograph.values.attributes import Attributes

logger: Final = SafeLogger(SCOPE)


class InvalidEventHandler:
    """Counts the violations of events, and raises, quarantines or accepts the events.

    Args:
        settings: The treatment of invalid events.
        metrics: Counts the violations.
        actor: Selects the keys of an actor that are kept in the quarantine.
        context: Selects the attributes of the current request that are kept in the quarantine.
        quarantine: The quarantine, used if the setting ``validation`` is ``quarantine``.

    Attributes:
        validates: True if events are to be validated.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        actor: ActorFilter,
        context: RequestContext,
        quarantine: QuarantineQueue | None,
    ) -> None:
        self.validates = settings.validation is not Validation.OFF
        self._is_strict = settings.validation is Validation.STRICT
        self._quarantine = quarantine if settings.validation is Validation.QUARANTINE else None
        self._metrics = metrics
        for kind in ViolationKind if self.validates else ():
            metrics.violations.begin(kind.value)
        self._log = LimitedLog(logger)
        self._actor = actor
        self._context = context

    def handle(
        self, reader: EventReader, event: EventLike, uid: str, time_unix_nano: int, violations: list[Violation]
    ) -> bool:
        """Count the violations of an event, and treat the event as the settings demand.

        Args:
            reader: The reader of the event's class.
            event: The event.
            uid: The unique id of the event.
            time_unix_nano: The time of the event, in nanoseconds since the Unix epoch.
            violations: The violations that the reader found. If the event's class is not declared, that violation is
                inserted before them.

        Returns:
            True if the event is in the quarantine, and must not be emitted.

        Raises:
            InvalidEvent: The setting ``validation`` is ``strict``.
        """
        schema = reader.schema
        if not schema.is_declared:
            violations.insert(0, Violation(ViolationKind.UNPLANNED_EVENT))
        # Count before raising, so that the metric is the same under every setting.
        self._count(reader, violations)
        if self._is_strict:
            raise InvalidEvent(schema.event_class, describe_violations(violations))
        self._log_violations(reader, violations)
        if self._quarantine is None:
            return False
        try:
            self._quarantine.put(self._record(reader, event, uid, time_unix_nano, violations))
        except program_errors() as error:
            # The disk may be full, for example. The event is then emitted, so that it is not lost.
            message = "An invalid event could not be put into the quarantine, so it is emitted."
            self._log.log(qualified_name(error), message, error=error)
            return False
        return True

    def report_naive_time(self, reader: EventReader, violations: list[Violation]) -> None:
        """Count, log and append the violation that an event's `created` has no time zone.

        It is never a reason to raise, or to put an event into the quarantine: the time counts as UTC.
        """
        found = [Violation(ViolationKind.CONSTRAINT_VIOLATED, "created")]
        self._count(reader, found)
        message = "The time `created` of %s has no time zone, and is taken for UTC. Use datetime.now(timezone.utc)."
        self._log.log((reader.schema.event_class, "created"), message, reader.schema.label, level=logging.WARNING)
        violations += found

    def _count(self, reader: EventReader, violations: list[Violation]) -> None:
        reader.coverage.record_violations(violations)
        for violation in violations:
            self._metrics.violations.add(violation.kind.value, reader.schema.event_name)

    def _log_violations(self, reader: EventReader, violations: list[Violation]) -> None:
        schema = reader.schema
        # A warning was logged when the class was registered.
        if schema.fields is None:
            return
        treatment = "It is emitted." if self._quarantine is None else "It is put into the quarantine."
        message = "An event %s violates the schema of %s: %s. %s"
        for violation in violations:
            kind = (schema.event_class, violation.kind)
            # The violation becomes text only if a line is logged.
            self._log.log(kind, message, schema.label, reader.class_name, violation, treatment, level=logging.WARNING)

    def _record(
        self, reader: EventReader, event: EventLike, uid: str, time_unix_nano: int, violations: list[Violation]
    ) -> InvalidRecord:
        """Return what the quarantine keeps of an event: its properties and its actor as they would be exported, and its violations."""
        schema = reader.schema
        attributes: Attributes = {}
        actor = getattr_or_none(event, "actor")
        if actor is not None:
            self._actor.put(attributes, actor)
        self._context.put(attributes, reader)
        return InvalidRecord(
            uid=uid,
            event_name=schema.event_name,
            version=schema.version,
            event_class=reader.class_name,
            time_unix_nano=time_unix_nano,
            actor=attributes,
            properties=reader.protected_properties(event),
            violations=tuple(describe_violations(violations)),
            span=get_current_span().get_span_context(),
        )
