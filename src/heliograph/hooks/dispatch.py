"""Call the hook `track_event` of each plugin with each event. A plugin that fails does not affect the other plugins.

A hook function may do its work at once, or return an async function or a coroutine for it. An event is dispatched in two steps:

1. All hook functions are called, in pluggy's order, in the caller's thread.
2. What they returned is awaited, in the same order: in the caller's event loop if the event was tracked by
   `Host.track_event`, else later, on the host's background loop, in a copy of the caller's context.

For an event that nobody waits for, such as the one about a rejected token, both steps run later, and the first one in a worker thread.

A plugin that fails in either step is logged and counted, and the plugins after it still run. Only the cancellation of the
caller itself ends the second step early.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Final, TypeAlias

from heliograph.events import EventLike
from heliograph.hooks.plugins import FUNCTION_WITH_YIELD, HookCall, Plugins, is_generator, resolve_result
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.program_errors import is_caller_cancelled, program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.metrics import Metrics, error_type

TRACK_EVENT: Final = "track_event"

AsyncResults: TypeAlias = "list[tuple[str, object]]"
"""The async functions and coroutines that hooks returned, each with the name of its plugin."""

logger: Final = SafeLogger(SCOPE)


class TrackEventDispatcher:
    """Calls the hook `track_event` of each plugin with an event.

    Any thread may call it at any time: it keeps nothing between two events.

    Args:
        plugins: The plugins.
        background: Runs the async functions that hooks return for events tracked by sync code.
        metrics: Counts the failures of hooks.
    """

    def __init__(self, plugins: Plugins, background: BackgroundLoop, metrics: Metrics) -> None:
        self._plugins = plugins
        self._background = background
        self._metrics = metrics
        metrics.hook_failures.begin(TRACK_EVENT)
        self._failures = LimitedLog(logger)

    def dispatch(self, datasette: object, event: EventLike) -> None:
        """Call the hooks, and submit the async functions that they return to the background loop."""
        calls = self._plugins.calls_by_plugin(TRACK_EVENT)
        # Most hosts have no such hook.
        if not calls:
            return
        async_results = list(self._call_hooks(calls, datasette, event))
        if async_results:  # `submit` would start a thread
            self._submit(async_results)

    async def dispatch_async(self, datasette: object, event: EventLike) -> None:
        """Call the hooks, and await the async functions that they return."""
        calls = self._plugins.calls_by_plugin(TRACK_EVENT)
        if calls:
            await self._await_each(list(self._call_hooks(calls, datasette, event)))

    async def dispatch_in_thread(self, datasette: object, event: EventLike) -> None:
        """Call the hooks in a worker thread, so that one that blocks does not block the loop; await what they return here."""
        calls = self._plugins.calls_by_plugin(TRACK_EVENT)
        if calls:
            from anyio import to_thread  # see `heliograph.runtime.loop`

            call_all = functools.partial(list[tuple[str, object]], self._call_hooks(calls, datasette, event))
            await self._await_each(await to_thread.run_sync(call_all, abandon_on_cancel=True))

    def _submit(self, async_results: AsyncResults) -> None:
        """Await the results of hooks on the background loop. If it cannot be started, count a failure of each plugin."""
        job = functools.partial(self._await_each, async_results)
        try:
            self._background.submit(job, description="the hook track_event")
        except Exception as error:
            # No thread can be started: the interpreter ends, or the system has too many.
            for plugin, _ in async_results:
                self._report_failure(plugin, error)

    def _call_hooks(
        self, calls: list[tuple[str, HookCall]], datasette: object, event: EventLike
    ) -> Iterator[tuple[str, object]]:
        """Call the hook of each plugin, and yield the async functions and coroutines that they return."""
        for plugin, call in calls:
            try:
                results = [result for result in call(datasette=datasette, event=event) if _needs_the_loop(result)]
            except program_errors() as error:
                self._report_failure(plugin, error)
                continue
            yield from ((plugin, result) for result in results)

    async def _await_each(self, async_results: AsyncResults) -> None:
        for plugin, result in async_results:
            try:
                if is_generator(await resolve_result(result)):
                    self._report_failure(plugin, TypeError(FUNCTION_WITH_YIELD))
            except program_errors() as error:
                if not isinstance(error, Exception) and is_caller_cancelled():
                    raise
                self._report_failure(plugin, error)

    def _report_failure(self, plugin: str, error: BaseException) -> None:
        kind = error_type(error)
        self._metrics.hook_failures.add(TRACK_EVENT, kind)
        self._failures.log((plugin, kind), "The hook %s of the plugin %s failed.", TRACK_EVENT, plugin, error=error)


def _needs_the_loop(result: object) -> bool:
    """Return True if a hook returned an async function or a coroutine.

    Raises:
        TypeError: It returned a generator.
    """
    if is_generator(result):
        raise TypeError(FUNCTION_WITH_YIELD)
    return callable(result) or inspect.isawaitable(result)
