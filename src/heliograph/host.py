"""The host of plugins, for any Python program."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import itsdangerous
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from heliograph.database import Database
from heliograph.errors import DatabaseNotFound, PluginError, qualified_name
from heliograph.events import Actor, EventLike
from heliograph.hooks.dispatch import TrackEventDispatcher
from heliograph.hooks.plugins import Plugins, flatten_results, resolve_result
from heliograph.instrumentation import Instrumentation
from heliograph.quarantine.record import InvalidRecord
from heliograph.runtime.deadline import Deadline, run_within
from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.once import RunOnce
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, resolve_references
from heliograph.telemetry.metrics import metrics_of
from heliograph.telemetry.otel_api import LoggerProvider
from heliograph.telemetry.providers import Providers
from heliograph.tokens.actions import CORE_ACTIONS, Action
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.service import SignedTokensPlugin, TokenService

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
T = TypeVar("T")

INTERNAL_DATABASE: Final = "_internal"

logger: Final = logging.getLogger(SCOPE)


class Host:
    """Tracks events, and creates and verifies tokens, with plugins written for Datasette's hooks.

    It is what the hooks receive as ``datasette``. Use it as a context manager, sync or async: startup hooks run when
    it is entered (else before the first event), and it is shut down when it is left.

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
        plugins: Modules or objects with hook functions, beside those of the entry points of the group ``heliograph``.
        databases: SQLite files by the name that `get_database` is asked for.
        tracer_provider: For spans; `None` is the global one, set now or later.
        logger_provider: For log records; likewise.
        meter_provider: For metrics; likewise.

    Raises:
        SettingsError: The environment's settings cannot be used.
        PluginError: A plugin cannot be loaded or registered.

    Attributes:
        settings: The settings.
        schemas: The schemas of the registered event classes.
        actions: The actions that a token can be restricted to, by name.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Iterable[object] = (),
        databases: Mapping[str, str | PathLike[str]] | None = None,
        tracer_provider: TracerProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self.settings = settings = Settings.from_env() if settings is None else settings
        self.actions: Mapping[str, Action] = CORE_ACTIONS
        self._providers = Providers(
            tracer_provider=tracer_provider, logger_provider=logger_provider, meter_provider=meter_provider
        )
        self._instrumentation = Instrumentation(settings, self._providers)
        self._emit = self._instrumentation.emit
        self.schemas = self._instrumentation.schemas
        self._secret = settings.secret or (secrets.token_hex(32),)  # made here: threads that sign first share it
        self._warns_of_secret = not settings.secret
        self._closers: list[Callable[[float], bool | None]] = []
        self._background = BackgroundLoop()
        self._startup = RunOnce(self._start, self._background)
        self._databases = self._open(databases or {})
        self._plugins = self._load(plugins)
        dispatcher = TrackEventDispatcher(self._plugins, self._background, metrics_of(self._providers))
        self._dispatch, self._dispatch_async = dispatcher.dispatch, dispatcher.dispatch_async
        self._tokens = TokenService(self._plugins, self._instrumentation.tokens)

    def _open(self, files: Mapping[str, str | PathLike[str]]) -> dict[str, Database]:
        paths = {INTERNAL_DATABASE: ":memory:", **files}
        return {name: Database(name, path, background=self._background) for name, path in paths.items()}

    def _load(self, plugins: Iterable[object]) -> Plugins:
        loaded = Plugins()
        loaded.register(SignedTokensPlugin())
        loaded.load_entry_points()
        for plugin in plugins:
            loaded.register(plugin)
        return loaded

    # Events

    def track(self, event: EventLike) -> None:
        """Emit the event, and call the `track_event` hooks: from any thread, in and out of an event loop.

        When it returns, the telemetry is emitted and the sync hooks have run. Async functions that hooks return follow
        in order on the host's own loop, in the caller's context; `flush` waits for them.

        Raises:
            UnregisteredEvent: No plugin registered the event's class, nor an ancestor of it.
            InvalidEvent: The event breaks its contract, and the setting ``validation`` is ``strict``; no hook ran.
        """
        if not self._startup.done:
            self._startup.ensure()
        self._emit(event)
        self._dispatch(self, event)

    async def track_event(self, event: EventLike) -> None:
        """Emit the event, call the `track_event` hooks, and await the async functions that they return, in order.

        Raises:
            UnregisteredEvent: No plugin registered the event's class, nor an ancestor of it.
            InvalidEvent: The event breaks its contract, and the setting ``validation`` is ``strict``; no hook ran.
        """
        if not self._startup.done:
            await self._startup.ensure_async()
        self._emit(event)
        await self._dispatch_async(self, event)

    def replay(self, record: InvalidRecord) -> None:
        """Emit an event that was set aside, now that its class was mended: with its first id, time, actor and span.

        Hooks are not called: they saw it when it happened.

        Raises:
            NotReplayable: It breaks its contract still, or is of a version that nobody can upcast.
        """
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
        """A new token, by the named handler, or by the first one in call order.

        Args:
            actor_id: Whose token it is.
            expires_after: Its life in seconds; `None` for no end.
            restrictions: What it may be used for; `None` for everything.
            handler: The `name` of a handler.

        Raises:
            NoTokenHandler: None is registered; a `RuntimeError`.
            TokenHandlerNotFound: None has that name; a `ValueError`.
        """
        await self._startup.ensure_async()
        return await self._tokens.create(
            self, actor_id, expires_after=expires_after, restrictions=restrictions, handler=handler
        )

    async def verify_token(self, token: str) -> Actor | None:
        """The actor that the token stands for, by the first handler that knows it; `None` when none does.

        Raises:
            TokenInvalid: A handler knows the token, and refuses it.
        """
        await self._startup.ensure_async()
        return await self._tokens.verify(self, token)

    def sign(self, value: object, namespace: str = "default") -> str:
        """The value as signed text: everybody can read it, nobody can change it."""
        text = self._serializer(namespace).dumps(value)
        return text if isinstance(text, str) else text.decode()

    def unsign(self, signed: str, namespace: str = "default") -> object:
        """The value that was signed, with the newest secret or an older one.

        Raises:
            itsdangerous.BadSignature: It was not signed here, or not in that namespace.
        """
        value: object = self._serializer(namespace).loads(signed)
        return value

    def _serializer(self, namespace: str) -> itsdangerous.URLSafeSerializer:
        if self._warns_of_secret:
            self._warns_of_secret = False
            logger.warning(
                "HELIOGRAPH_SECRET is not set: what is signed with the secret generated now, tokens included, ends with "
                "this process, and no other process accepts it."
            )
        return itsdangerous.URLSafeSerializer(self._secret[::-1], namespace)  # it signs with the last of a list

    # What plugins ask a Datasette for

    def setting(self, key: str) -> object:
        """The value of a Datasette setting that a host has too, or `None`."""
        return {
            "allow_signed_tokens": self.settings.allow_signed_tokens,
            "max_signed_tokens_ttl": self.settings.token_ttl or 0,
        }.get(key)

    def plugin_config(
        self, plugin_name: str, database: str | None = None, table: str | None = None, fallback: bool = True
    ) -> object:
        """The configuration of a plugin, or `None`; ``{"$env": NAME}`` and ``{"$file": PATH}`` in it are looked up.

        A host has no configuration by database or table: with one of them it is the same, or, without ``fallback``,
        `None`.
        """
        if (database is not None or table is not None) and not fallback:
            return None
        return resolve_references(self.settings.plugin_config.get(plugin_name))

    def get_database(self, name: str | None = None) -> Database:
        """The database of that name, or the first one.

        Raises:
            DatabaseNotFound: There is none; a `KeyError`.
        """
        named = [known for known in self._databases if known != INTERNAL_DATABASE]
        wanted = name if name is not None else next(iter(named), None)
        if wanted is None or wanted not in self._databases:
            raise DatabaseNotFound(name, named)
        return self._databases[wanted]

    def get_internal_database(self) -> Database:
        """The database for what plugins keep for themselves: in memory, unless ``_internal`` was given a file."""
        return self._databases[INTERNAL_DATABASE]

    # Life

    def register(self, plugin: object) -> None:
        """Add a plugin; on a host that runs already, its events are registered and its startup hook runs at once.

        Raises:
            PluginError: It cannot be registered.
            SchemaError: No schema can be made of one of its event classes.
        """
        self._plugins.register(plugin)
        if self._startup.done:
            try:
                self.call(self._start_plugin, plugin)
            except BaseException:
                self._plugins.unregister(plugin)
                raise

    async def invoke_startup(self) -> None:
        """Register the plugins' events and run their startup hooks, once.

        Raises:
            SchemaError: No schema can be made of one of the event classes.
            Exception: What a startup hook raised; the next call tries again.
        """
        await self._startup.ensure_async()

    async def _start(self) -> None:
        await self._register_events(self._plugins.call("register_events", datasette=self))
        started = list(self._plugins)
        for result in self._plugins.call("startup", datasette=self):
            await resolve_result(result)
        for plugin in self._plugins:
            if plugin not in started:  # a startup hook registered it
                await self._start_plugin(plugin)

    async def _start_plugin(self, plugin: object) -> None:
        await self._register_events(self._plugins.call_plugin(plugin, "register_events", datasette=self))
        for result in self._plugins.call_plugin(plugin, "startup", datasette=self):
            await resolve_result(result)

    async def _register_events(self, results: list[object]) -> None:
        for event_class in flatten_results([await resolve_result(result) for result in results]):
            if not isinstance(event_class, type):
                raise PluginError(
                    f"the hook register_events returned an object of {qualified_name(event_class)}, not an event class"
                )
            self.schemas.register(event_class)

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of an async function, for sync code: ``host.call(host.verify_token, token)``.

        It runs on the host's own loop, in a copy of the caller's context; the calling thread waits for it.

        Raises:
            RuntimeError: Called on the host's own loop, which would wait for itself for ever.
        """
        return self._background.call(function, *args, **kwargs)

    def flush(self, timeout_millis: float | None = None) -> bool:
        """Wait for the async hooks of what was tracked so far, and have the providers send what they hold.

        Returns by the deadline, also with the backend down.

        Args:
            timeout_millis: How long to wait; `None` takes the setting ``flush_timeout_millis``.

        Returns:
            Whether all of it was done in time, and every provider says that it sent all that it had.
        """
        deadline = self._deadline(timeout_millis)
        ran = self._wait(deadline.remaining() / 2)
        flushed = self._providers.force_flush(deadline.remaining())
        if not ran:  # the hooks took more than their half: they get what the providers left over
            ran = self._wait(deadline.remaining()) and self._providers.force_flush(deadline.remaining())
        return ran and flushed

    def _wait(self, timeout_millis: float) -> bool:
        return not self._background.is_own_thread() and self._background.wait(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float | None = None) -> bool:
        """Flush, end the host's threads, close its databases, and shut down the providers that `configure` made.

        Returns by the deadline, and says what `flush` says. A host that is used again starts its threads again.

        Raises:
            RuntimeError: Called on the host's own loop, which would wait for its own end.
        """
        if self._background.is_own_thread():
            raise RuntimeError("a host cannot be shut down by a function that runs on its own loop")
        deadline = self._deadline(timeout_millis)
        flushed = self.flush(deadline.remaining())
        closers, self._closers = self._closers, []
        for close in closers:
            flushed = self._close(close, deadline.remaining()) and flushed
        run_within(max(100.0, deadline.remaining()), self._release)
        return flushed

    def _close(self, close: Callable[[float], bool | None], timeout_millis: float) -> bool:
        try:
            return close(timeout_millis) is not False
        except Exception:  # what was left to us to call may do anything; the rest is shut down all the same
            logger.exception("A function that was to be called at shutdown failed.")
            return False

    def _release(self) -> None:
        self._background.stop()
        for database in self._databases.values():
            database.close()

    def at_shutdown(self, close: Callable[[float], bool | None]) -> None:
        """Call a function at `shutdown`, after the flush, with the milliseconds that are left; False is a failure."""
        self._closers.append(close)

    def _deadline(self, timeout_millis: float | None) -> Deadline:
        return Deadline(self.settings.flush_timeout_millis if timeout_millis is None else timeout_millis)

    def __enter__(self) -> Self:
        try:
            self._startup.ensure()
        except BaseException:  # nobody leaves what was not entered
            self.shutdown()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    async def __aenter__(self) -> Self:
        try:
            await self.invoke_startup()
        except BaseException:
            await self._shutdown_shielded()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._shutdown_shielded()

    async def _shutdown_shielded(self) -> None:
        with anyio.CancelScope(shield=True):  # in a cancelled scope too; it returns by its deadline
            await anyio.to_thread.run_sync(self.shutdown)
