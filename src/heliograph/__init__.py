"""Typed events and API tokens, observable with OpenTelemetry."""

from heliograph.errors import (
    DatabaseNotFound,
    DuplicateEventName,
    FileFormatError,
    HeliographError,
    InvalidEvent,
    NoTokenHandler,
    NotReplayable,
    OutboxError,
    OutboxFull,
    PluginError,
    QuarantineError,
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
from heliograph.events import (
    Attribute,
    Deprecated,
    Event,
    Privacy,
    Severity,
    acting_as,
    current_actor,
)
from heliograph.hooks.specs import hookimpl
from heliograph.host import Host
from heliograph.sdk.configure import configure
from heliograph.settings import Settings, Signal, Validation
from heliograph.tokens.handler import TokenHandler
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.signed import SignedTokenHandler
from heliograph.version import __version__

__all__ = [
    "Attribute",
    "DatabaseNotFound",
    "Deprecated",
    "DuplicateEventName",
    "Event",
    "FileFormatError",
    "HeliographError",
    "Host",
    "InvalidEvent",
    "NoTokenHandler",
    "NotReplayable",
    "OutboxError",
    "OutboxFull",
    "PluginError",
    "Privacy",
    "QuarantineError",
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
    "Validation",
    "__version__",
    "acting_as",
    "configure",
    "current_actor",
    "hookimpl",
]
