"""The hooks of the Datasette plugin. None of them makes a request fail."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Final

from datasette.utils import StartupError

from heliograph.errors import OutboxError, SettingsError
from heliograph.events import EventLike
from heliograph.hooks.specs import hookimpl
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.integrations.datasette.process_providers import ProcessProviders, flush
from heliograph.integrations.datasette.request_actor import App, remember, with_request_actor
from heliograph.semconv import SCOPE

if TYPE_CHECKING:
    from datasette.app import Datasette
    from datasette.utils.asgi import Request

logger: Final = logging.getLogger(SCOPE)

providers: Final = ProcessProviders(os.environ)
providers.set_up_at_import()


@hookimpl(tryfirst=True)
def startup(datasette: Datasette) -> None:
    """Read the settings, set the missing providers up, and compile the schemas of the registered events."""
    problems = _problems(lambda: state_of(datasette))
    settings = None if problems else state_of(datasette).settings
    problems += _problems(lambda: providers.set_up_at_startup(settings))
    if problems:
        raise StartupError(f"heliograph: {SettingsError(problems)}")
    instance = state_of(datasette)
    providers.shut_down_at_exit(instance.settings.flush_timeout_millis)
    instance.register(datasette.event_classes)


def _problems(step: Callable[[], object]) -> tuple[str, ...]:
    try:
        step()
    except SettingsError as error:
        return error.problems
    except OutboxError as error:
        return (str(error),)
    return ()


@hookimpl(tryfirst=True)
def track_event(datasette: Datasette, event: EventLike) -> None:
    """Emit the event, before other plugins see it: one of them that raises ends Datasette's loop."""
    try:
        state_of(datasette).emit(event)
    except Exception:
        logger.exception("An event was not emitted.")


@hookimpl(wrapper=True)
def register_token_handler(datasette: Datasette) -> Generator[None, list[object], list[object]]:
    """Trace the operations of every token handler."""
    handlers = yield
    try:
        return state_of(datasette).traced(handlers)
    except Exception:
        logger.exception("Token handlers are not traced.")
        return handlers


@hookimpl
def asgi_wrapper() -> Callable[[App], App]:
    """Make the request's actor the ambient one."""
    return with_request_actor


@hookimpl(tryfirst=True)
def actor_from_request(request: Request) -> None:
    """Keep the request, whose actor is about to be known; say nothing of it."""
    remember(request)


@hookimpl
def shutdown(datasette: Datasette) -> Callable[[], Awaitable[None]]:
    """Send what is held, within the deadline."""

    async def inner() -> None:
        await asyncio.to_thread(flush, state_of(datasette).settings.flush_timeout_millis)

    return inner
