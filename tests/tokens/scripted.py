"""A token handler whose results a test chooses, and hosts that use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from heliograph import Host, Settings, TokenHandler, hookimpl
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.providers import Providers
from heliograph.tokens.events import TokenEvent
from heliograph.tokens.lifecycle import TokenLifecycle
from heliograph.tokens.telemetry import TokenTelemetry
from recorder import Telemetry

TOKEN = "mine_dG9wc2VjcmV0_signature"


class Scripted(TokenHandler):
    """A handler that returns its ``outcome`` from `verify_token`, or raises it from both methods if it is an exception."""

    name = "scripted"

    def __init__(self, outcome=None):
        self.outcome = outcome

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return f"{actor_id} {expires_after} {restrictions}"

    async def verify_token(self, datasette, token):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


class Handlers:
    """A plugin that registers the given token handlers."""

    def __init__(self, handlers):
        self._handlers = handlers

    @hookimpl
    def register_token_handler(self, datasette):
        return self._handlers


class RecordingTracker:
    """Keeps the events of tokens, and runs nothing by itself.

    Attributes:
        events: The events that were tracked, in order.
        later: The functions that are to run later, in order.
    """

    def __init__(self) -> None:
        self.events: list[TokenEvent] = []
        self.later: list[Callable[[], Awaitable[object]]] = []

    async def track(self, event: TokenEvent) -> None:
        self.events.append(event)

    async def track_after_verification(self, event: TokenEvent) -> None:
        self.events.append(event)

    def run_later(self, function: Callable[[], Awaitable[object]], delay_seconds: float = 0) -> None:
        self.later.append(function)


def host_with(telemetry: Telemetry, *handlers: object, **settings: object) -> Host:
    """Return a host that has these handlers only."""
    return telemetry.host(
        Handlers(list(handlers)), settings=Settings(**{"secret": "s", "allow_signed_tokens": False, **settings})
    )


def token_telemetry(telemetry: Telemetry, *actor_keys: str) -> TokenTelemetry:
    """Return a `TokenTelemetry` that records into ``telemetry``."""
    lifecycle = TokenLifecycle(RecordingTracker(), rejections_per_minute=60)
    return TokenTelemetry(Providers(**telemetry.providers), ActorFilter(actor_keys or ("*", "-email")), lifecycle)
