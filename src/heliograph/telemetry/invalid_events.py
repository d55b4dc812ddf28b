"""What becomes of an event that breaks its contract."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from opentelemetry.trace import get_current_span

from heliograph.errors import InvalidEvent, qualified_name
from heliograph.events import EventLike
from heliograph.quarantine.record import InvalidRecord
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, ViolationKind, describe_violations
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, Validation
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.metrics import Metrics
from heliograph.values.attributes import Attributes
from heliograph.values.introspect import getattr_or_none

logger: Final = logging.getLogger(SCOPE)


class InvalidEventHandler:
    """Counts what is wrong with events, and does with them what the settings say.

    Args:
        settings: What becomes of them.
        metrics: Counts violations.
        actor: What may leave of an actor.
        set_aside: Keeps an event, where the settings say so; `None` keeps none.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        actor: ActorFilter,
        set_aside: Callable[[InvalidRecord], None] | None,
    ) -> None:
        self.validates = settings.validation is not Validation.OFF
        self._is_strict = settings.validation is Validation.STRICT
        self._set_aside = set_aside if settings.validation is Validation.QUARANTINE else None
        self._count = metrics.violations.add
        self._put_actor = actor.put

    def sets_aside(
        self, reader: EventReader, event: EventLike, uid: str, time_unix_nano: int, violations: list[Violation]
    ) -> bool:
        """Whether the event is not to be emitted; ``violations`` get what is wrong with it besides.

        Raises:
            InvalidEvent: The settings are strict.
        """
        schema = reader.schema
        if not schema.is_declared:
            violations.insert(0, Violation(ViolationKind.UNPLANNED_EVENT))
        reader.coverage.record_violations(violations)
        for violation in violations:
            self._count(schema.event_name, violation.kind.value)
        if self._is_strict:
            raise InvalidEvent(schema.event_class, describe_violations(violations))
        return self._set_aside is not None and self._is_set_aside(
            self._set_aside, self._record(reader, event, uid, time_unix_nano, violations)
        )

    def _record(
        self, reader: EventReader, event: EventLike, uid: str, time_unix_nano: int, violations: list[Violation]
    ) -> InvalidRecord:
        schema = reader.schema
        actor: Attributes = {}
        self._put_actor(actor, getattr_or_none(event, "actor"))
        return InvalidRecord(
            uid=uid,
            event_name=schema.event_name,
            version=schema.version,
            event_class=qualified_name(schema.event_class),
            time_unix_nano=time_unix_nano,
            actor=actor,
            properties=reader.protected_properties(event),
            violations=tuple(describe_violations(violations)),
            span=get_current_span().get_span_context(),
        )

    @staticmethod
    def _is_set_aside(set_aside: Callable[[InvalidRecord], None], record: InvalidRecord) -> bool:
        try:
            set_aside(record)
        except Exception:  # a disk that is full, for one: then it goes out, as it would by `warn`
            logger.exception("An invalid event could not be set aside, and is emitted.")
            return False
        return True
