"""Start a host's plugins: register their event classes, and run their startup hooks.

Two steps, because most programs have no event loop when they make a host:

1. **Registration**, when the host is made or a plugin is added: the hooks `register_events` are called, and the schemas of the classes
   that they return are compiled. A mistake is raised here, in the program's own start.
2. **Startup**, when the host is entered, or before its first event or token: the rest of the hooks `register_events`, if
   they are async, and the hooks `startup`. An event loop is needed only if one of them is async.

A plugin that fails in the second step is logged, counted and removed, and the host goes on without it. By then the program serves
requests, and the error would be raised in the first of them. Its event classes stay, so that the program may track them.

Threads: the second step runs once (`RunOnce`). Plugins are added by one thread, or by startup hooks.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable, Iterator
from typing import Any, Final

from heliograph.classes import qualified_name
from heliograph.errors import PluginError
from heliograph.hooks.plugins import FUNCTION_WITH_YIELD, HookCall, Plugins, is_generator, items_of, result_of
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.once import RunOnce
from heliograph.runtime.program_errors import is_caller_cancelled, program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.registry import SchemaRegistry
from heliograph.semconv import SCOPE
from heliograph.telemetry.metrics import Metrics, error_type

REGISTER_EVENTS: Final = "register_events"
STARTUP: Final = "startup"

Steps = Iterator[Awaitable[object]]
"""Work that does a part with each `next`, and returns something that has to be awaited before the next part."""


class PluginStartup:
    """Registers the event classes of plugins, and runs their startup hooks once.

    Args:
        datasette: The host, as hooks get it.
        plugins: The plugins.
        schemas: Gets the event classes.
        metrics: Counts the failures of hooks.
        background: Awaits async hooks for sync callers.

    Attributes:
        once: The second step. Its field ``done`` is True when it has ended.
    """

    def __init__(
        self,
        datasette: object,
        plugins: Plugins,
        schemas: SchemaRegistry,
        metrics: Metrics,
        background: BackgroundLoop,
    ) -> None:
        self._datasette = datasette
        self._plugins = plugins
        self._schemas = schemas
        self._metrics = metrics
        self._background = background
        self._failures = LimitedLog(SafeLogger(SCOPE))
        # By the name of a plugin: the call of its hook `register_events`, and the results that need an event loop; `None` for those that a
        # run has begun to await.
        self._async_events: dict[str, tuple[HookCall, list[object] | None]] = {}
        # The names of the plugins whose startup hook has run.
        self._started: set[str] = set()
        self.once = RunOnce(self._start_all, background)
        for hook in (REGISTER_EVENTS, STARTUP):
            metrics.hook_failures.begin(hook)

    # Registration

    def register_all(self, event_classes: Iterable[object]) -> None:
        """Register these event classes, and those of all plugins whose hook is not async.

        Raises:
            PluginError: A hook failed, or returned something that is not an event class.
            SchemaError: Classes have no schema; it lists all of them.
        """
        # A hook may return `None` for no classes. The argument `None` is usually the result of a function whose `return` was forgotten.
        if event_classes is None:
            raise PluginError("the argument `events` is None, not a list of event classes; write events=[…]")
        classes = list(_checked(items_of(event_classes), "the argument `events` has"))
        for name, call in self._plugins.calls_by_plugin(REGISTER_EVENTS):
            classes += self._classes_of(name, call)
        self._schemas.register_all(classes)

    def add(self, plugin: object) -> None:
        """Register the event classes of a plugin that was added. If the second step has ended, do it for this plugin.

        Raises:
            PluginError: Its hook `register_events` failed, or returned something that is not an event class.
            SchemaError: Its classes have no schema.
            Exception: One of its async hooks, or its startup hook, failed.
        """
        name = self._plugins.name_of(plugin)
        self._started.discard(name)
        register, start = (dict(self._plugins.calls_by_plugin(hook)).get(name) for hook in (REGISTER_EVENTS, STARTUP))
        if register is not None:
            self._schemas.register_all(self._classes_of(name, register))
        if self.once.done:
            steps = self._register_async(name) if name in self._async_events else iter(())
            for step in steps:
                self._background.call(_awaited, step)
            self._started.add(name)
            for step in iter(()) if start is None else self._start(start):
                self._background.call(_awaited, step)

    def forget(self, name: str) -> None:
        """Forget what the hook `register_events` of a plugin, which is removed, has returned for an event loop."""
        _, results = self._async_events.pop(name, (None, None))
        for result in results or ():
            # Python warns of a coroutine that is never awaited.
            if inspect.iscoroutine(result):
                result.close()

    def _classes_of(self, name: str, call: HookCall) -> list[type]:
        """Return the event classes of a plugin. What its hook returns for an event loop is kept for the second step."""
        try:
            values = [_unless_async(result) for result in call(datasette=self._datasette)]
            found = [item for value in values if not _needs_a_loop(value) for item in items_of(value)]
        except program_errors() as error:
            raise PluginError(f"the hook {REGISTER_EVENTS} of the plugin {name} failed: {error!r}") from error
        waiting = [value for value in values if _needs_a_loop(value)]
        if waiting:
            self._async_events[name] = (call, waiting)
        return list(_checked(found, f"the hook {REGISTER_EVENTS} returned"))

    # Startup

    def _start_all(self) -> Steps:
        while True:  # a startup hook may add plugins
            registers = next(iter(self._async_events), None)
            starts = next(
                (each for each in self._plugins.calls_by_plugin(STARTUP) if each[0] not in self._started), None
            )
            if registers is not None:
                yield from self._isolated(REGISTER_EVENTS, registers, self._register_async(registers))
            elif starts is not None:
                name, call = starts
                yield from self._isolated(STARTUP, name, self._start(call))
                self._started.add(name)
            else:
                return

    def _register_async(self, name: str) -> Steps:
        call, results = self._async_events[name]
        # A coroutine can be awaited once. If this run is cancelled, the next one calls the hook again.
        self._async_events[name] = (call, None)
        for result in call(datasette=self._datasette) if results is None else results:
            yield self._register_result(result)
        # It may have been removed meanwhile.
        self._async_events.pop(name, None)

    async def _register_result(self, result: object) -> None:
        value: Any = result_of(result)
        found = items_of(await value if inspect.isawaitable(value) else value)
        self._schemas.register_all(_checked(found, f"the hook {REGISTER_EVENTS} returned"))

    def _start(self, call: HookCall) -> Steps:
        for result in call(datasette=self._datasette):
            value: Any = result_of(result)
            if is_generator(value):
                raise TypeError(FUNCTION_WITH_YIELD)
            if inspect.isawaitable(value):
                yield value

    def _isolated(self, hook: str, name: str, steps: Steps) -> Steps:
        """Do the steps of one plugin. If one fails, log and count it, and remove the plugin."""
        errors: list[BaseException] = []
        try:
            for step in steps:
                yield _caught(step, errors)
                if errors:
                    break
        except program_errors() as error:
            errors.append(error)
        if errors:
            self._remove(hook, name, errors[0])

    def _remove(self, hook: str, name: str, error: BaseException) -> None:
        self.forget(name)
        self._plugins.unregister_name(name)
        self._metrics.hook_failures.add(hook, error_type(error))
        message = "The hook %s of the plugin %s failed. The host goes on without that plugin."
        self._failures.log((hook, name), message, hook, name, error=error)


def _unless_async(result: object) -> object:
    """Return the result of a hook. An async function is not called, because its coroutine might never be awaited."""
    return result if inspect.iscoroutinefunction(result) else result_of(result)


def _needs_a_loop(value: object) -> bool:
    return inspect.iscoroutinefunction(value) or inspect.isawaitable(value)


def _checked(found: Iterable[object], source: str) -> Iterator[type]:
    for each in found:
        if not isinstance(each, type):
            raise PluginError(
                f"{source} an object of {qualified_name(each)}, not an event class; write the class itself"
            )
        yield each


async def _awaited(step: Awaitable[object]) -> None:
    await step


async def _caught(step: Awaitable[object], errors: list[BaseException]) -> None:
    try:
        await step
    except program_errors() as error:
        if not isinstance(error, Exception) and is_caller_cancelled():
            raise
        errors.append(error)
