"""`Host`: run plugins that were written for Datasette's hooks in any Python program.

The path of an event: `Host.track` → `Instrumentation.emit` → `SchemaRegistry.reader` → `Emitter.emit` → ``EventReader.attributes`` →
the OpenTelemetry providers; then → `TrackEventDispatcher` → the ``track_event`` hooks of the plugins.

The path of a new token: `Host.create_token` → `TokenService` → `record_creation` → the handler of a plugin. The path of a verification:
`Host.verify_token` → `TokenService` → `verify_in_turn` → each handler, until one decides. `TokenTelemetry` records both.

Threads: a host may be used from any number of threads and event loops at once. It has no lock and no changing field of its own:
the objects that threads share have theirs, such as `RunOnce` for the startup, `BackgroundLoop` and `HostLifetime`.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Tracer, TracerProvider

from heliograph.ambient_actor import Actor
from heliograph.arguments import check_argument
from heliograph.classes import qualified_name
from heliograph.errors import PluginError
from heliograph.events import EventLike
from heliograph.hooks.dispatch import TrackEventDispatcher
from heliograph.hooks.plugins import Plugins
from heliograph.host.database import Database
from heliograph.host.databases import INTERNAL, TOKENS, Databases
from heliograph.host.lifetime import HostLifetime
from heliograph.host.plugin_startup import PluginStartup
from heliograph.host.signatures import Signatures, SignedValue
from heliograph.host.token_tracker import HostTracker
from heliograph.instrumentation import Instrumentation, problems_of
from heliograph.quarantine.record import InvalidRecord
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.deferred_waits import await_all, call_without_waiting
from heliograph.runtime.loop import BackgroundLoop
from heliograph.settings import DATABASE, Settings, resolve_references, settings_or_environment
from heliograph.telemetry.metrics import metrics_of
from heliograph.telemetry.otel_api import LoggerProvider
from heliograph.telemetry.providers import Providers
from heliograph.tokens.actions import CORE_ACTIONS, Action
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.service import BuiltInTokensPlugin, TokenService
from heliograph.tokens.stored import location
from heliograph.tokens.stored.handler import DatabaseTokenHandler
from heliograph.tokens.stored.operations import keep_tokens

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
T = TypeVar("T")


class Host:
    """Tracks events, and creates and verifies tokens, with plugins that were written for Datasette's hooks.

    The hooks receive it as ``datasette``. Event classes are registered when it is made, so that a mistake in one ends the program's
    start. Use it as a context manager, sync or async: the plugins' startup hooks run when it is entered, and it is shut down
    when the block ends. Without one, startup hooks run before the first event or token.

    A host sets no OpenTelemetry provider: it emits to those that the program sets, and `flush` returns False if one of them was missing. Use
    `configure` to set those that are missing, whether the program has set up OpenTelemetry itself or not.

    >>> from dataclasses import dataclass
    >>> from heliograph import Event, Host, hookimpl
    >>> @dataclass
    ... class BanUserEvent(Event):
    ...     name = "ban-user"
    ...     user: dict
    >>> class Forum:
    ...     @hookimpl
    ...     def register_events(self):
    ...         return [BanUserEvent]
    >>> with Host(plugins=[Forum()]) as host:
    ...     host.track(BanUserEvent(user={"id": 1, "username": "cleverbot"}))

    Args:
        settings: The settings; `None` reads them from the environment.
        plugins: Modules or objects with hook functions, in addition to the plugins that installed packages register as
            entry points of the group ``heliograph``.
        events: Event classes that no plugin registers.
        databases: The SQLite file of each database, by its name for `get_database`.
        tracer_provider: The provider for spans; `None` uses the global one, even if it is set later.
        logger_provider: The provider for log records; `None` uses the global one, even if it is set later.
        meter_provider: The provider for metrics; `None` uses the global one, even if it is set later.

    Raises:
        SettingsError: The environment has invalid settings.
        TypeError: `settings` is something else.
        PluginError: A plugin cannot be loaded or registered, or its hook ``register_events`` failed.
        SchemaError: No schema can be compiled for an event class; it lists all of them.

    Attributes:
        settings: The settings.
        schemas: The schemas of the registered event classes, by class.
        actions: The actions that a token can be restricted to, by name.
    """

    # While the interpreter ends, nothing is done: the modules that telemetry needs are taken down, and CPython 3.13 crashes. It is
    # an attribute and not a global name, because Python clears those as well.
    _is_ending = staticmethod(sys.is_finalizing)

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Iterable[object] = (),
        events: Iterable[type] = (),
        databases: Mapping[str, str | PathLike[str]] | None = None,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.settings = settings = settings_or_environment(settings, problems_of)
        self.actions: Mapping[str, Action] = CORE_ACTIONS
        self._providers = Providers(
            tracer_provider=tracer_provider, logger_provider=logger_provider, meter_provider=meter_provider
        )
        self._background = BackgroundLoop()
        tracker = HostTracker(self._background, self.track_event, self._track_in_threads)
        self._instrumentation = Instrumentation(settings, self._providers, tracker)
        self.schemas = self._instrumentation.schemas
        self._signatures = Signatures(settings.secret or (), settings.signature_digest)
        self._databases = Databases(databases or {}, self._background)
        database_tokens = self._create_token_handler()
        self._lifetime = HostLifetime(
            self._background, self._instrumentation, self._providers, self._databases, database_tokens
        )
        self._plugins = self._load_plugins(plugins, database_tokens)
        metrics = metrics_of(self._providers)
        self._dispatcher = TrackEventDispatcher(self._plugins, self._background, metrics)
        self._tokens = TokenService(self._plugins, self._instrumentation.tokens)
        self._plugin_startup = PluginStartup(self, self._plugins, self.schemas, metrics, self._background)
        self._startup = self._plugin_startup.once
        # This comes last: hooks get this host, and may use all of it.
        self._plugin_startup.register_all(events)

    def _create_token_handler(self) -> DatabaseTokenHandler | None:
        """Return the handler of the tokens in a database, if the settings have one."""
        if DATABASE not in self.settings.token_handlers:
            return None
        internal, path = self.get_internal_database(), self.settings.token_database
        location.prepare(
            path,
            internal=None if internal.path == location.MEMORY else internal.path,
            served=(),
            advice=f"make the host with Host(databases={{{INTERNAL!r}: FILE}})",
        )
        database = internal if path is None else self._databases.add(TOKENS, path)
        telemetry = self._instrumentation.tokens
        return keep_tokens(self, database, telemetry, cache_seconds=self.settings.token_cache_seconds)

    def _load_plugins(self, plugins: Iterable[object], database_tokens: DatabaseTokenHandler | None) -> Plugins:
        # pluggy calls plugins in the reverse order of their registration: the program's own come first, ours last.
        loaded = Plugins()
        loaded.register(BuiltInTokensPlugin(self.settings.token_handlers, database_tokens))
        loaded.load_entry_points()
        if isinstance(plugins, str) or not isinstance(plugins, Iterable):
            raise PluginError(
                f"the argument `plugins` is an object of {qualified_name(plugins)}, not a list of plugins; write plugins=[…]"
            )
        for plugin in plugins:
            loaded.register(plugin)
        return loaded

    # Events

    def track(self, event: EventLike) -> None:
        """Emit an event, and call the ``track_event`` hooks. Callable from any thread, inside and outside an event loop.

        When it returns, the telemetry is emitted and the sync hooks have run. It returns `None`, also in async code, where
        `track_event` can be awaited instead. Async functions that hooks returned run later,
        in order, on the host's own event loop and in the caller's context; `flush` waits for them.

        A hook that fails is logged and counted, and raises nothing here. The same holds for a telemetry provider, and for an
        actor whose own code fails. While the interpreter ends (`sys.is_finalizing`), nothing is done.

        Args:
            event: The event.

        Raises:
            UnregisteredEvent: No plugin registered the event's class or an ancestor of it; a `KeyError`.
            InvalidEvent: The event violates its schema, and the setting ``validation`` is ``strict``. No hook is called.
            OutboxFull: The outbox has no room for the event, and the setting ``validation`` is ``strict``. No hook is called.
        """
        if self._is_ending():
            return
        # This is checked here as well, because a call costs time on the path of every event.
        if not self._startup.done:
            self._startup.ensure()
        self._instrumentation.emit(event)
        self._dispatcher.dispatch(self, event)

    async def track_event(self, event: EventLike) -> None:
        """Emit an event, call the ``track_event`` hooks, and await the async functions that they return, in order.

        If an outbox has to write each record to the disk itself (``HELIOGRAPH_OUTBOX_SYNC=full``), the disk is awaited before the hooks
        are called: the event loop goes on meanwhile, and one sync serves all tasks that await one.

        Args:
            event: The event.

        Raises:
            UnregisteredEvent: No plugin registered the event's class or an ancestor of it; a `KeyError`.
            InvalidEvent: The event violates its schema, and the setting ``validation`` is ``strict``. No hook is called.
            OutboxFull: The outbox has no room for the event, and the setting ``validation`` is ``strict``. No hook is called.
        """
        if self._is_ending():
            return
        if not self._startup.done:
            await self._startup.ensure_async()
        await await_all(call_without_waiting(self._instrumentation.emit, event))
        await self._dispatcher.dispatch_async(self, event)

    async def _track_in_threads(self, event: EventLike) -> None:
        """Do the same as `track_event`, on the host's own loop. Providers and hooks run in worker threads, because `call` needs the loop, too."""
        if not self._is_ending():
            from anyio import to_thread  # see `heliograph.runtime.loop`

            await to_thread.run_sync(self._instrumentation.emit, event, abandon_on_cancel=True)
            await self._dispatcher.dispatch_in_thread(self, event)

    def replay(self, record: InvalidRecord) -> None:
        """Emit an event from the quarantine that is valid by now, with its first id, time, actor and span.

        No hook is called: the hooks were called when the event happened.

        Args:
            record: The event as the quarantine kept it.

        Raises:
            NotReplayable: The event is still invalid, or no registered class can read its version; a `ValueError`.
            TypeError: `record` is something else.
        """
        check_argument("record", record, InvalidRecord, "an InvalidRecord of the quarantine")
        if not self._startup.done:
            self._startup.ensure()
        self._instrumentation.replay(record)

    @property
    def event_classes(self) -> tuple[type, ...]:
        """The registered event classes."""
        return tuple(self.schemas)

    # Tokens

    async def create_token(
        self,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
        handler: str | None = None,
    ) -> str:
        """Return a new token, from the named handler or from the first one in call order.

        Handlers come in the reverse order in which their plugins were registered: those of the program first, the built-in ones last.

        Args:
            actor_id: The id of the actor that the token authenticates.
            expires_after: The lifetime of the token in seconds; `None` means that it never expires.
            restrictions: The actions that the token allows; `None` allows everything that the actor may do.
            handler: The `name` of a handler; `None` means the first one.

        Raises:
            NoTokenHandler: No handler is registered; a `RuntimeError`.
            TokenHandlerNotFound: No handler has that name; a `ValueError`.
            PluginError: A plugin registered something that is not a token handler.
        """
        await self._startup.ensure_async()
        return await self._tokens.create(
            self, actor_id, expires_after=expires_after, restrictions=restrictions, handler=handler
        )

    async def verify_token(self, token: str) -> Actor | None:
        """Return the actor that a token authenticates, or `None` if no handler recognizes the token.

        The handlers are asked in call order, until one recognizes the token.

        Args:
            token: The token.

        Raises:
            TokenInvalid: A handler recognizes the token and rejects it. Its subclass names the reason, such as `TokenExpired`.
            PluginError: A plugin registered something that is not a token handler.
            TypeError: `token` is not a string.
        """
        if not self._startup.done:
            await self._startup.ensure_async()
        return await self._tokens.verify(self, token)

    def verify(self, token: str) -> Actor | None:
        """Return the result of `verify_token`, to sync code such as a view of Flask or Django.

        The calling thread verifies the token itself if that needs no waiting: signed tokens, and tokens of a database that were verified a
        short time ago, if no handler of a plugin comes first. Otherwise it waits, as with `call`.

        Raises:
            TokenInvalid: See `verify_token`.
            PluginError: See `verify_token`.
            TypeError: `token` is not a string.
            RuntimeError: It was called on the host's own loop, which cannot wait for itself.
        """
        if not self._startup.done:
            self._startup.ensure()
        # Anything but text is an error, which `verify_token` raises.
        is_text = isinstance(token, str)
        verify = self._tokens.verification_without_waiting(self, token) if is_text else None
        return self.call(self.verify_token, token) if verify is None else verify()

    def sign(self, value: object, namespace: str = "default") -> str:
        """Return a value as signed text. Anyone can read the value in it, and nobody can change it.

        Args:
            value: A value that JSON can represent.
            namespace: The purpose of the signature. `unsign` accepts the text in the same namespace only.
        """
        return self._signatures.sign(value, namespace)

    def unsign(self, signed: str, namespace: str = "default") -> object:
        """Return the value of a text that `sign` returned. Texts signed with an older secret of the setting are accepted.

        Raises:
            itsdangerous.BadSignature: The signature is wrong, or was made in another namespace.
        """
        return self.unsign_numbered(signed, namespace).value

    def unsign_numbered(self, signed: str, namespace: str = "default") -> SignedValue:
        """Return the value of a text that `sign` returned, and the number of the secret that signed it: 0 is the newest.

        Raises:
            itsdangerous.BadSignature: The signature is wrong, or was made in another namespace.
        """
        return self._signatures.unsign(signed, namespace)

    # The rest of Datasette's interface that plugins use

    def setting(self, key: str) -> object:
        """Return the value of one of Datasette's settings, or `None` if a host does not have it."""
        return {
            "allow_signed_tokens": self.settings.allow_signed_tokens,
            "max_signed_tokens_ttl": self.settings.token_ttl or 0,
        }.get(key)

    def plugin_config(
        self, plugin_name: str, database: str | None = None, table: str | None = None, fallback: bool = True
    ) -> object:
        """Return the configuration of a plugin, or `None`.

        ``{"$env": NAME}`` and ``{"$file": PATH}`` at any depth of it are replaced by the variable or the file's content.

        A host has no configuration by database or table. With either argument it returns the configuration of the plugin,
        or `None` if ``fallback`` is False.
        """
        if (database is not None or table is not None) and not fallback:
            return None
        return resolve_references(self.settings.plugin_config.get(plugin_name))

    def get_database(self, name: str | None = None) -> Database:
        """Return the database with that name, or the first database if no name is given.

        Raises:
            DatabaseNotFound: There is no such database; a `KeyError`.
        """
        return self._databases.get(name)

    def get_internal_database(self) -> Database:
        """Return the database for plugins' own data. It is in memory, unless the argument ``databases`` has ``_internal``."""
        return self._databases.get(INTERNAL)

    # Life cycle

    def register(self, plugin: object) -> None:
        """Add a plugin, and register its events. If the host has started, run its startup hook at once.

        A plugin that fails is removed again.

        Args:
            plugin: A module or an object with hook functions.

        Raises:
            PluginError: The plugin cannot be registered, or its hook ``register_events`` failed.
            SchemaError: No schema can be compiled for one of its event classes.
            Exception: Its startup hook failed.
        """
        self._plugins.register(plugin)
        try:
            self._plugin_startup.add(plugin)
        except BaseException:
            self.unregister(plugin)
            raise

    def unregister(self, plugin: object) -> None:
        """Remove a plugin, so that its hooks are not called any more. Its event classes stay registered.

        Args:
            plugin: The object that was registered.

        Raises:
            PluginError: It is not registered.
        """
        self._plugin_startup.forget(self._plugins.unregister(plugin))

    async def invoke_startup(self) -> None:
        """Run the plugins' startup hooks, and those `register_events` that are async, once.

        Entering the host, and the first event or token, do the same. A hook that fails is logged and counted, and the host goes on
        without its plugin.
        """
        await self._startup.ensure_async()

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an async function from sync code and return its result: ``host.call(host.verify_token, token)``.

        The function runs on the host's own event loop, in a copy of the caller's context, while the calling thread waits.

        Args:
            function: The async function.
            args: Its positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            RuntimeError: It was called on the host's own loop, which cannot wait for itself.
            TypeError: `function` is not an async function.
            Exception: The exception of the function.
        """
        return self._background.call(function, *args, **kwargs)

    def tracer(self) -> Tracer:
        """Return the tracer of heliograph's scope, of the provider that this host uses: integrations start spans with it."""
        return self._providers.tracer()

    def flush(self, timeout_millis: float | None = None) -> bool:
        """Wait for the async hooks of the events tracked so far, then let the providers send the telemetry that they hold.

        It returns by the deadline, even if a hook or a provider hangs or no server responds.

        Args:
            timeout_millis: The timeout in milliseconds; `None` means the setting ``flush_timeout_millis``.

        Returns:
            True if all hooks ended in time, every provider reported that it sent all of its telemetry, all invalid events that were
            set aside are in the quarantine, and no event was lost for lack of a provider since the last flush. (In a program without
            any provider and without a variable that asks for export, nothing counts as lost.)
        """
        return self._lifetime.flush(self._deadline(timeout_millis))

    def shutdown(self, timeout_millis: float | None = None) -> bool:
        """Flush, call the functions of `at_shutdown`, end the host's threads, and close its databases.

        If the deadline passes, each step that remains gets 100 ms: ending the host's threads, and shutting down each provider
        that `configure` created. A host may be entered again afterwards.

        Args:
            timeout_millis: The timeout in milliseconds; `None` means the setting ``flush_timeout_millis``.

        Returns:
            True if `flush` returned True, and no function of `at_shutdown` failed.

        Raises:
            RuntimeError: It was called on the host's own loop, which cannot wait for its own end.
        """
        return self._lifetime.shutdown(self._deadline(timeout_millis))

    def at_shutdown(self, function: Callable[[float], bool | None]) -> None:
        """Call a function during `shutdown`, after the flush. Functions are called in the order in which they were added.

        Args:
            function: Gets the milliseconds that remain, and should not take longer. If it returns False or raises, `shutdown`
                returns False.
        """
        self._lifetime.at_shutdown(function)

    def at_restart(self, function: Callable[[], None]) -> None:
        """Call a function whenever the host is entered after a `shutdown`, to set up what that has ended."""
        self._lifetime.at_restart(function)

    def _deadline(self, timeout_millis: float | None) -> Deadline:
        return Deadline(self.settings.flush_timeout_millis if timeout_millis is None else timeout_millis)

    def __enter__(self) -> Self:
        self._lifetime.enter()
        try:
            self._startup.ensure()
        except BaseException:
            # Python does not call __exit__ if __enter__ raises.
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lifetime.exit():
            self.shutdown()

    async def __aenter__(self) -> Self:
        self._lifetime.enter()
        try:
            await self.invoke_startup()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lifetime.exit():
            await self._shutdown_shielded()

    async def _shutdown_shielded(self) -> None:
        from anyio import CancelScope, to_thread

        # A cancelled scope must not skip the shutdown, which has its own deadline.
        with CancelScope(shield=True):
            await to_thread.run_sync(self.shutdown)
