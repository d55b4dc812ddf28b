"""The hooks of the Datasette plugin.

The order of events in a Datasette process:

1. **Import.** Datasette imports its plugins, in an order that we do not choose. Importing this module sets a TracerProvider, if
   the environment asks for export: Datasette's spans of its own startup begin before any hook runs. An error here is
   ignored, since it would break commands such as ``datasette --version``; step 2 reports it.
2. **Startup.** `startup` runs for each `Datasette` object, before the other plugins' hooks. It reads the settings, sets the
   providers that are still missing, now that every plugin has been imported and has set its own, and compiles the schemas of the
   registered events. All problems are reported in one `StartupError`, which ends the process.
3. **Requests.** `asgi_wrapper` wraps each request, so that its actor is the ambient one. `actor_from_request` runs when
   Datasette determines the actor. `register_token_handler` runs for each token operation, `track_event` for each event.
4. **Shutdown.** `shutdown` flushes, and writes recent events, when the server stops. A command such as ``datasette --get`` does
   not call that hook. For it, and for telemetry emitted after `shutdown`, the providers are flushed and shut down when the
   interpreter exits. Both together take no longer than the setting ``flush_timeout_millis``.

A failure of the plugin never fails a request: the hooks log their errors. Tests may create several `Datasette` objects in one process:
settings and schemas belong to the object, providers to the process.

Threads: hooks run in Datasette's event loop. A flush waits for servers, so it runs in another thread.
"""

from __future__ import annotations

import asyncio
import os
import sys
import weakref
from collections.abc import Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from datasette.plugins import pm
from datasette.utils import StartupError

from heliograph.errors import OutboxError, SettingsError
from heliograph.events import EventLike
from heliograph.hooks.plugin_checks import warn_of_uncalled_hooks
from heliograph.hooks.specs import hookimpl
from heliograph.integrations.asgi_types import App
from heliograph.integrations.datasette.created_tokens import with_created_tokens, with_token_id
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.integrations.datasette.page import navigation, views
from heliograph.integrations.datasette.process_providers import ProcessProviders, flush
from heliograph.integrations.datasette.request_actor import keep_request, with_request_actor
from heliograph.integrations.datasette.routes import Routes
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.deferred_waits import await_all, call_without_waiting
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.metrics import error_type
from heliograph.tokens.events import TOKEN_EVENTS, TokenCreated

if TYPE_CHECKING:
    from datasette.app import Datasette
    from datasette.permissions import Action
    from datasette.utils.asgi import Request
    from jinja2 import Environment

logger: Final = SafeLogger(SCOPE)

failures: Final = LimitedLog(logger)
"""Logs failures that may occur for every event and every token, at a limited rate."""

providers: Final = ProcessProviders(os.environ)
providers.set_up_at_import()


@hookimpl(tryfirst=True)
def startup(datasette: Datasette) -> None:
    """Read the settings, set the missing providers, and compile the schemas of the registered events.

    Raises:
        StartupError: The settings or the environment cannot be used; it lists every problem.
    """
    # Both steps run even if the first one fails, so that all problems are reported at once.
    problems = _problems(lambda: state_of(datasette))
    settings = None if problems else state_of(datasette).settings
    problems += _problems(lambda: providers.set_up_at_startup(settings))
    if problems:
        raise StartupError(f"heliograph: {SettingsError(problems)}")
    instance = state_of(datasette)
    providers.shut_down_at_exit(instance.settings.flush_timeout_millis)
    instance.register(datasette.event_classes)
    for plugin in pm.get_plugins():
        warn_of_uncalled_hooks(plugin)


def _problems(step: Callable[[], object]) -> tuple[str, ...]:
    """Return the problems that a step of the startup reports; none if it succeeds."""
    try:
        step()
    except SettingsError as error:
        return error.problems
    except OutboxError as error:
        return (str(error),)
    return ()


@hookimpl(tryfirst=True)
def track_event(datasette: Datasette, event: EventLike) -> Callable[[], Awaitable[None]] | None:
    """Emit the event. Return an async function if there is something to await: an outbox that writes to the disk itself.

    The hook is `tryfirst`: if the hook of another plugin raises, Datasette does not call those after it. While the interpreter
    ends, nothing is done.
    """
    if sys.is_finalizing():
        return None
    try:
        waits = call_without_waiting(state_of(datasette).emit, with_token_id(event))
    except program_errors() as error:
        failures.log((weakref.ref(datasette), error_type(error)), "An event could not be emitted.", error=error)
        return None
    return partial(await_all, waits) if waits else None


@hookimpl(wrapper=True, tryfirst=True)
def register_token_handler(datasette: Datasette) -> Generator[None, list[object], list[object]]:
    """Wrap every token handler, so that its operations are traced."""
    handlers = yield
    try:
        return state_of(datasette).traced(handlers)
    except program_errors() as error:
        kind = ("tokens", weakref.ref(datasette), error_type(error))
        failures.log(kind, "The operations of token handlers cannot be traced.", error=error)
        return handlers


@hookimpl
def register_events() -> list[type]:
    """Return the classes of heliograph's own events, about tokens."""
    return list(TOKEN_EVENTS)


@hookimpl
def asgi_wrapper(datasette: Datasette) -> Callable[[App], App]:
    """Make the actor of each request the ambient one, and track the tokens that it creates."""

    async def track(event: TokenCreated) -> None:
        await state_of(datasette).tracker.track_now(event)

    routes = Routes(datasette)
    return lambda app: with_request_actor(with_created_tokens(app, track), routes.find, datasette.in_client)


@hookimpl(tryfirst=True)
def actor_from_request(request: Request) -> None:
    """Keep the request, whose actor Datasette is about to determine. Return `None`: other plugins find the actor."""
    keep_request(request)


@hookimpl
def register_actions() -> Sequence[Action]:
    """Return the permissions of the pages."""
    return views.ACTIONS


@hookimpl
def register_routes() -> Sequence[tuple[str, views.View]]:
    """Return the routes of the pages."""
    return views.ROUTES


@hookimpl
def menu_links(datasette: Datasette, actor: dict[str, Any] | None) -> Awaitable[list[dict[str, str]]]:
    """Return the menu's entry of the pages ``/-/heliograph`` and ``/-/heliograph/tokens``."""
    return navigation.menu_links(datasette, actor)


@hookimpl
def prepare_jinja2_environment(env: Environment) -> None:
    """Let Datasette find the templates of the pages."""
    env.loader = views.with_templates(env.loader)


@hookimpl
def shutdown(datasette: Datasette) -> Callable[[], Awaitable[None]]:
    """Return an async function that sends the telemetry held so far, and writes recent events, within the setting ``flush_timeout_millis``.

    It does nothing after a startup that failed because of the settings, which has been reported.
    """

    async def inner() -> None:
        try:
            instance = state_of(datasette)
        except SettingsError:  # `startup` has raised it, too
            return
        deadline = Deadline(instance.settings.flush_timeout_millis)
        try:
            # Half of the time: a hook that hangs must not keep the providers from sending.
            await instance.end_tokens(deadline.remaining() / 2)
            await asyncio.gather(
                asyncio.to_thread(flush, deadline),
                asyncio.to_thread(instance.end_recent, deadline.remaining()),
                asyncio.to_thread(instance.end_quarantine, deadline.remaining()),
            )
        finally:
            providers.note_shutdown(deadline.spent())

    return inner
