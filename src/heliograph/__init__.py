"""Typed events and API tokens, observable with OpenTelemetry."""

import typing

from heliograph.ambient_actor import RequestActor, acting_as, current_actor, default_actor, set_actor
from heliograph.errors import (
    DatabaseNotFound,
    DuplicateEventName,
    FileFormatError,
    HeliographError,
    InvalidEvent,
    NoTokenDatabase,
    NoTokenHandler,
    NotReplayable,
    OutboxError,
    OutboxFull,
    PluginError,
    QuarantineError,
    SchemaError,
    SchemaErrors,
    SettingsError,
    TokenExpired,
    TokenHandlerNotFound,
    TokenInvalid,
    TokenMalformed,
    TokenNotFound,
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
)
from heliograph.hooks.specs import hookimpl
from heliograph.runtime.kept_context import keep_context
from heliograph.settings import (
    OutboxFullPolicy,
    OutboxSync,
    OutboxWrite,
    Settings,
    Signal,
    SpanEventContent,
    Validation,
)
from heliograph.version import __version__

if typing.TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxLogRecordProcessor
    from heliograph.delivery.span_processor import OutboxSpanProcessor
    from heliograph.host import Host
    from heliograph.sdk.configure import configure
    from heliograph.tokens.handler import TokenHandler
    from heliograph.tokens.restrictions import TokenRestrictions
    from heliograph.tokens.signed import SignedTokenHandler
    from heliograph.values.converters import register_converter

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
    "NoTokenDatabase",
    "NoTokenHandler",
    "NotReplayable",
    "OutboxError",
    "OutboxFull",
    "OutboxFullPolicy",
    "OutboxLogRecordProcessor",
    "OutboxSpanProcessor",
    "OutboxSync",
    "OutboxWrite",
    "PluginError",
    "Privacy",
    "QuarantineError",
    "RequestActor",
    "SchemaError",
    "SchemaErrors",
    "Settings",
    "SettingsError",
    "Severity",
    "Signal",
    "SignedTokenHandler",
    "SpanEventContent",
    "TokenExpired",
    "TokenHandler",
    "TokenHandlerNotFound",
    "TokenInvalid",
    "TokenMalformed",
    "TokenNotFound",
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
    "default_actor",
    "hookimpl",
    "keep_context",
    "register_converter",
    "set_actor",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# To a type checker, any name would exist in a module with a `__getattr__`.
if not typing.TYPE_CHECKING:
    # Modules of event classes or hooks need none of these names, and to import their modules takes longer than all the rest. So each is
    # imported when its name is first asked for, by an import statement of the program. No thread of heliograph asks for one: see
    # `heliograph.runtime.fork_lock`.
    _MODULES = {
        "Host": "host",
        "OutboxLogRecordProcessor": "delivery.processor",
        "OutboxSpanProcessor": "delivery.span_processor",
        "SignedTokenHandler": "tokens.signed",
        "TokenHandler": "tokens.handler",
        "TokenRestrictions": "tokens.restrictions",
        "configure": "sdk.configure",
        "register_converter": "values.converters",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(f"{__name__}.{_MODULES[name]}"), name))
