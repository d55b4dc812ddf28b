"""Typed events and API tokens, observable with OpenTelemetry."""

from heliograph.errors import (
    DatabaseNotFound,
    DuplicateEventName,
    HeliographError,
    NoTokenHandler,
    PluginError,
    SchemaError,
    SettingsError,
    TokenExpired,
    TokenHandlerNotFound,
    TokenInvalid,
    TokenMalformed,
    TokenRevoked,
    TokensDisabled,
    TokenSignatureInvalid,
    UnregisteredEvent,
)
from heliograph.events import Event, Severity, acting_as, current_actor
from heliograph.hookspecs import hookimpl
from heliograph.host import Host
from heliograph.sdk.configure import configure
from heliograph.settings import Settings, Signal
from heliograph.tokens.handler import TokenHandler
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.signed import SignedTokenHandler
from heliograph.version import __version__

__all__ = [
    "DatabaseNotFound",
    "DuplicateEventName",
    "Event",
    "HeliographError",
    "Host",
    "NoTokenHandler",
    "PluginError",
    "SchemaError",
    "Settings",
    "SettingsError",
    "Severity",
    "Signal",
    "SignedTokenHandler",
    "TokenExpired",
    "TokenHandler",
    "TokenHandlerNotFound",
    "TokenInvalid",
    "TokenMalformed",
    "TokenRestrictions",
    "TokenRevoked",
    "TokenSignatureInvalid",
    "TokensDisabled",
    "UnregisteredEvent",
    "__version__",
    "acting_as",
    "configure",
    "current_actor",
    "hookimpl",
]
