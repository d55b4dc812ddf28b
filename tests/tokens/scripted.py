"""A token handler whose results a test chooses, and hosts that use it."""

from __future__ import annotations

from heliograph import Host, Settings, TokenHandler, hookimpl
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.providers import Providers
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


def host_with(telemetry: Telemetry, *handlers: object, **settings: object) -> Host:
    """Return a host that has these handlers only."""
    return telemetry.host(
        Handlers(list(handlers)), settings=Settings(**{"secret": "s", "allow_signed_tokens": False, **settings})
    )


def token_telemetry(telemetry: Telemetry, *actor_keys: str) -> TokenTelemetry:
    """Return a `TokenTelemetry` that records into ``telemetry``."""
    return TokenTelemetry(Providers(**telemetry.providers), ActorFilter(actor_keys or ("*", "-email")))
