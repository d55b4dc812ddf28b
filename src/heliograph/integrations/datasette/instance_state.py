"""The settings, schemas and telemetry that the plugin keeps for each `Datasette` object.

Threads: hooks run in one event loop, so nothing here has a lock. `end_recent` and `end_quarantine` are called in other threads. The objects
that these two use are made for several threads.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datasette.database import Database
from datasette.tokens import TokenHandler, TokenInvalid

from heliograph.errors import FileFormatError, SchemaError
from heliograph.instrumentation import Instrumentation, problems_of
from heliograph.integrations.datasette.distributions import namespace_of
from heliograph.integrations.datasette.process_providers import is_short_command
from heliograph.integrations.datasette.token_tracker import DatasetteTracker
from heliograph.recent_events.recorder import RecentEvents
from heliograph.recent_events.store import RecentEventStore
from heliograph.runtime.deadline import run_within
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.settings import DATABASE, Settings, Validation
from heliograph.telemetry.missing_providers import advice_for_datasette
from heliograph.telemetry.observers import observers, remove_observer
from heliograph.telemetry.providers import Providers
from heliograph.tokens.stored import location
from heliograph.tokens.stored.handler import DatabaseTokenHandler
from heliograph.tokens.stored.operations import keep_tokens
from heliograph.tokens.traced import trace_handlers

if TYPE_CHECKING:
    from datasette.app import Datasette

TOKEN_DATABASE: Final = "_heliograph_tokens"  # noqa: S105 — the name of a database
"""The name, in spans, of a database that has only tokens. Datasette does not serve it."""

PLUGIN_NAME: Final = "heliograph"
"""The plugin's key in Datasette's configuration."""

logger: Final = SafeLogger(SCOPE)


class InstanceState:
    """The settings, schemas and telemetry of one `Datasette` object.

    Args:
        datasette: The `Datasette` object, whose configuration of the plugin is read.

    Raises:
        SettingsError: The environment or the configuration cannot be used; it lists every problem.

    Attributes:
        settings: The settings.
        schemas: The schemas of the registered event classes.
        emit: Emits an event.
        end_quarantine: Puts the invalid events that wait into the quarantine, within a number of milliseconds.
        tracker: Tracks the events of tokens.
        recent: Keeps recent events for the page, or `None` if the settings name no file for them.
        database_tokens: The handler of the tokens in a database, or `None`.
    """

    def __init__(self, datasette: Datasette) -> None:
        config = datasette.plugin_config(PLUGIN_NAME)
        self.settings = Settings.from_env(config=config, check=_problems_in_datasette, check_also=_problems_of_outbox)
        self.tracker = DatasetteTracker(datasette)
        instrumentation = Instrumentation(self.settings, Providers(), self.tracker, advice_for_datasette)
        self.schemas, self.emit = instrumentation.schemas, instrumentation.emit
        self.end_quarantine = instrumentation.end_quarantine
        self.recent = self._keep_recent(self.settings.recent_events)
        self._tokens = instrumentation.tokens
        self._own_database: Database | None = None
        self.database_tokens: DatabaseTokenHandler | None = None
        if DATABASE in self.settings.token_handlers:
            self._own_database = _token_database(datasette, self.settings.token_database)
            self.database_tokens = keep_tokens(
                datasette,
                self._own_database or datasette.get_internal_database(),
                instrumentation.tokens,
                cache_seconds=self.settings.token_cache_seconds,
            )

    def register(self, event_classes: Iterable[type]) -> None:
        """Compile the schemas of event classes. Classes of installed plugins that name no namespace get the distribution's.

        Datasette accepts classes of which no schema can be compiled. For each, a warning is logged, and its events are emitted
        untyped: with the attributes that `properties()` returns.
        """
        for event_class in event_classes:
            namespace = namespace_of(event_class, self.schemas.namespace)
            try:
                self.schemas.register(event_class, namespace=namespace)
            except SchemaError as error:
                logger.warning("%s. Its events are emitted untyped, with what properties() returns.", error)
                self.schemas.register_untyped(event_class, namespace=namespace)

    def traced(self, handlers: Iterable[object]) -> list[object]:
        """Return token handlers whose operations are traced.

        Handlers built on heliograph's `TokenHandler` become instances of Datasette's class as well, which Datasette requires,
        and their rejections become Datasette's `TokenInvalid`.
        """
        return trace_handlers(self._ordered(handlers), self._tokens, base=TokenHandler, rejection_class=TokenInvalid)

    async def end_tokens(self, timeout_millis: float) -> None:
        """Record abandoned verifications, write the last uses of tokens, and close the database if it has only tokens.

        Args:
            timeout_millis: The time for which it waits for these uses, and for events of tokens that are being tracked.
        """
        self._tokens.end_abandoned()
        if self.database_tokens is not None:
            # Beside the events, so that a hook that hangs takes no time from it.
            self.tracker.run_later(partial(self._write_token_uses, self.database_tokens, timeout_millis / 1000))
        await self.tracker.wait(timeout_millis / 1000)
        if self._own_database is not None:
            self._own_database.close()

    async def _write_token_uses(self, handler: DatabaseTokenHandler, timeout_seconds: float) -> None:
        try:
            await asyncio.wait_for(handler.flush(), timeout_seconds)
        except Exception:
            # The database may be locked or gone. Datasette must stop nevertheless.
            logger.exception("The last use of some tokens could not be written.")

    def _keep_recent(self, path: Path | None) -> RecentEvents | None:
        if path is None:
            return None
        recent = RecentEvents(RecentEventStore(path), self.schemas)
        observers.append(recent)
        weakref.finalize(self, remove_observer, recent).atexit = False
        return recent

    def end_recent(self, timeout_millis: float) -> None:
        """Write the recent events that are not written yet, and end the thread that writes them."""
        if self.recent is not None:
            run_within(timeout_millis, self.recent.close)

    def _ordered(self, handlers: Iterable[object]) -> list[object]:
        """Add the handler of the tokens in a database, before all others if it is the default for new tokens."""
        if self.database_tokens is None:
            return list(handlers)
        is_default = self.settings.token_handlers[0] == DATABASE
        return [self.database_tokens, *handlers] if is_default else [*handlers, self.database_tokens]


def _problems_in_datasette(values: Mapping[str, object]) -> Iterator[str]:
    if values.get("validation") is Validation.STRICT:
        yield (
            "validation: 'strict' is not possible in Datasette, where an event is tracked after its write has been committed: "
            "the write would be reported as failed; use 'quarantine' or 'warn'"
        )
    yield from problems_of(values)
    path = values.get("recent_events")
    if isinstance(path, Path):
        try:
            RecentEventStore(path).check()
        except (FileFormatError, sqlite3.Error) as error:
            yield f"recent_events: {error}"


def _problems_of_outbox(values: Mapping[str, object]) -> list[str]:
    # Imported here, because without export no SDK is needed.
    from heliograph.sdk.outboxes import problems_of_outbox

    return problems_of_outbox(os.environ, values.get("outbox"))


def _token_database(datasette: Datasette, path: Path | None) -> Database | None:
    """Return a database that has only tokens, and that Datasette does not serve; `None` if tokens are in the internal database.

    A command such as ``datasette create-token`` has no option for the internal database, which is therefore a temporary one. This is not
    reported there, because the command creates a signed token.

    Args:
        datasette: The `Datasette` object.
        path: The setting ``token_database``.

    Raises:
        SettingsError: Tokens cannot be kept as the settings say.
    """
    if path is None and is_short_command():
        return None
    internal = datasette.get_internal_database()
    location.prepare(
        path,
        internal=None if internal.is_memory or internal.is_temp_disk else internal.path,
        served=[database.path for database in datasette.databases.values() if database.path],
        advice="start Datasette with --internal FILE",
    )
    if path is None:
        return None
    # A file, since each connection to a database in memory would have its own.
    if location.is_memory(path):
        opened = Database(datasette, is_temp_disk=True)
    else:
        opened = Database(datasette, path=str(path), mode="rwc")
    opened.name = TOKEN_DATABASE
    return opened


# Weak, so that a `Datasette` object of a test is not kept alive.
_instances: weakref.WeakKeyDictionary[Datasette, InstanceState] = weakref.WeakKeyDictionary()


def state_of(datasette: Datasette) -> InstanceState:
    """Return the state of a `Datasette` object; the first call creates it.

    Raises:
        SettingsError: See `InstanceState`.
    """
    instance = _instances.get(datasette)
    if instance is None:
        instance = _instances[datasette] = InstanceState(datasette)
    return instance
