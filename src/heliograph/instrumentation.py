"""Assemble the parts that turn events and token operations into telemetry, from settings and providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from heliograph.errors import InvalidEvent, OutboxFull, QuarantineError, SettingsError
from heliograph.events import EventLike
from heliograph.quarantine.queue import QuarantineQueue
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.replay import prepare
from heliograph.quarantine.store import Quarantine
from heliograph.runtime.program_errors import program_errors
from heliograph.schema.read.event import EventReader
from heliograph.schema.registry import SchemaRegistry
from heliograph.settings import DATABASE, FIELDS, Settings, Validation
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.emitter import Emitter
from heliograph.telemetry.metrics import metrics_of
from heliograph.telemetry.missing_providers import Advice, MissingProviders, advice_for_host
from heliograph.telemetry.providers import Providers
from heliograph.tokens.events import TOKEN_EVENTS
from heliograph.tokens.lifecycle import EventTracker, TokenLifecycle
from heliograph.tokens.stored import location
from heliograph.tokens.telemetry import TokenTelemetry


class Instrumentation:
    """The registry, the emitter, the quarantine and the token telemetry, for `heliograph.Host` and for the Datasette plugin.

    It does not load plugins or call hooks: that is where the two hosts differ.

    Args:
        settings: The signals, the privacy of events and actors, and the treatment of invalid events.
        providers: The OpenTelemetry providers that telemetry goes to.
        tracker: Tracks the events of tokens.
        advice: The way to set a provider that is missing, for the kind of host.

    Raises:
        SettingsError: Invalid events are to be set aside, and the file of the quarantine cannot be used.

    Attributes:
        schemas: The schemas of the registered event classes.
        tokens: Records token operations as spans, durations and events.
        missing: Knows if events were not emitted for lack of a provider.
    """

    def __init__(
        self, settings: Settings, providers: Providers, tracker: EventTracker, advice: Advice = advice_for_host
    ) -> None:
        self._metrics = metrics_of(providers)
        self.schemas = SchemaRegistry.from_settings(settings, self._begin_to_count)
        self.schemas.register_own(TOKEN_EVENTS)
        actor = ActorFilter(settings.actor, self.schemas.policy)
        lifecycle = TokenLifecycle(tracker, rejections_per_minute=settings.token_rejections_per_minute)
        self.tokens = TokenTelemetry(providers, actor, lifecycle, source=self.schemas)
        if problems := problems_of({"validation": settings.validation, "quarantine": settings.quarantine}):
            raise SettingsError(problems)
        self.missing = MissingProviders(settings.signals, providers, advice)
        self._quarantine = QuarantineQueue(Quarantine(settings.quarantine))
        self._emitter = Emitter(
            settings,
            providers,
            actor,
            quarantine=self._quarantine,
            missing=self.missing,
            source=self.schemas,
        )

    def _begin_to_count(self, reader: EventReader) -> None:
        self._metrics.events.begin(reader.schema.event_name)
        if reader.renamed is not None:
            self._begin_to_count(reader.renamed)

    def emit(self, event: EventLike) -> None:
        """Emit an event in the current context.

        Raises:
            UnregisteredEvent: Neither the event's class nor an ancestor of it is registered.
            InvalidEvent: The event is invalid, and the setting ``validation`` is ``strict``.
            OutboxFull: The outbox has no room for the event, and the setting ``validation`` is ``strict``.
        """
        reader = self.schemas.reader(type(event))
        try:
            self._emitter.emit(reader, event)
        except (InvalidEvent, OutboxFull):
            raise
        except program_errors() as error:
            # No other failure of telemetry may end what the program was doing.
            self._emitter.report_failure(error)

    def flush_quarantine(self, timeout_millis: float) -> bool:
        """Put the invalid events that wait into the quarantine. Return False if that takes longer, or fails."""
        return self._quarantine.flush(timeout_millis)

    def end_quarantine(self, timeout_millis: float) -> bool:
        """Flush the quarantine, and end its thread, which the next invalid event starts again."""
        return self._quarantine.close(timeout_millis)

    def replay(self, record: InvalidRecord) -> None:
        """Emit an event from the quarantine, with its first id, time, actor and span.

        Raises:
            NotReplayable: The event is still invalid, or no registered class can read its version.
        """
        reader, attributes = prepare(self.schemas, record)
        self._emitter.replay(reader, record, attributes)


def problems_of(values: Mapping[str, object]) -> list[str]:
    """Return the problems of settings that are valid by themselves and cannot work on this machine. It is a `check` of `Settings.from_env`.

    Args:
        values: The values of settings, by name; those without one have their default.
    """
    return [*_problems_of_quarantine(values), *_problems_of_tokens(values)]


def _problems_of_quarantine(values: Mapping[str, object]) -> Iterator[str]:
    if values.get("validation") is Validation.QUARANTINE:
        path: Any = values.get("quarantine", FIELDS["quarantine"].default)
        try:
            Quarantine(path).check()
        except QuarantineError as error:
            yield f"quarantine: {error}"


def _problems_of_tokens(values: Mapping[str, object]) -> Iterator[str]:
    path, handlers = values.get("token_database"), values.get("token_handlers")
    if isinstance(path, Path) and isinstance(handlers, tuple) and DATABASE in handlers:
        # Without a path, the tokens are in a database of the host, which checks that itself.
        problem = location.location_problem(path, internal=None, served=(), advice="")
        if problem is not None:
            yield problem
