"""One tree of exceptions: everything that heliograph raises on purpose.

::

    HeliographError
    ├── SchemaError (TypeError)              a class that no schema can be made of
    │   └── DuplicateEventName               two classes that give one event name
    ├── UnregisteredEvent (KeyError)         an event whose class no plugin registered
    ├── FileFormatError (ValueError)         a file that is not of the form that it should have
    ├── InvalidEvent (ValueError)            an event that breaks its contract, where that is strict
    ├── NotReplayable (ValueError)           an event that was set aside, and cannot be emitted yet
    ├── QuarantineError (OSError)            a file that is no quarantine
    ├── OutboxError (OSError)                an outbox that cannot be used
    │   └── OutboxFull                       one that is as large as it may become
    ├── SettingsError (ValueError)           every problem of the configuration at once
    ├── PluginError (RuntimeError)           a plugin that cannot be loaded, or returns what no hook may
    ├── DatabaseNotFound (KeyError)          a database that the host does not have
    ├── NoTokenHandler (RuntimeError)        no plugin registered a token handler
    ├── TokenHandlerNotFound (ValueError)    no registered token handler has that name
    └── TokenInvalid                         a token that its handler knows and refuses
        ├── TokenMalformed                   its payload is not what the handler writes
        ├── TokenSignatureInvalid            forged, or signed with a secret that is gone
        ├── TokenExpired                     past its end of life
        ├── TokenRevoked                     taken back before its end of life
        └── TokensDisabled (ValueError)      the host neither creates nor accepts this kind of token now

Each says what went wrong, where, and what to do; what a program may want to know is also there as an attribute.
None carries a token, or any part of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class HeliographError(Exception):
    """The base of every exception that heliograph raises on purpose."""


class SchemaError(HeliographError, TypeError):
    """A class that no schema can be made of.

    Attributes:
        event_class: The class.
        reason: What is wrong with it, and the mend.
    """

    def __init__(self, event_class: object, reason: str) -> None:
        self.event_class = event_class
        self.reason = reason
        super().__init__(f"{qualified_name(event_class)}: {reason}")


class DuplicateEventName(SchemaError):
    """Two classes that give one event name.

    Attributes:
        event_class: The class that came second.
        registered_class: The class that has the name already.
        event_name: The name on the wire that both give.
    """

    def __init__(self, event_class: type, registered_class: type, event_name: str) -> None:
        self.registered_class = registered_class
        self.event_name = event_name
        super().__init__(
            event_class,
            f"its event name {event_name!r} is already that of {qualified_name(registered_class)}; "
            "change one class's `name`, or its `namespace`",
        )


class _NotFound(HeliographError, KeyError):
    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show its repr


class UnregisteredEvent(_NotFound):
    """An event whose class, and every ancestor of it, no plugin registered.

    Attributes:
        event_class: The class of the event.
    """

    def __init__(self, event_class: type) -> None:
        self.event_class = event_class
        super().__init__(
            f"{qualified_name(event_class)} is not registered: "
            "return it from a plugin's `register_events` hook, and give that plugin to the host"
        )


class FileFormatError(HeliographError, ValueError):
    """A file that is not of the form that it should have."""


class InvalidEvent(HeliographError, ValueError):
    """An event that breaks its contract, where the setting ``validation`` is ``strict``.

    Attributes:
        event_class: The class of the event.
        violations: What is wrong, each a kind and the path to the field: ``"required-missing: user.id"``. Never a value.
    """

    def __init__(self, event_class: type, violations: Sequence[str]) -> None:
        self.event_class = event_class
        self.violations = tuple(violations)
        super().__init__(
            f"{qualified_name(event_class)} breaks its contract: {'; '.join(violations)}. "
            "Mend the event where it is made, or the class's annotations"
        )


class NotReplayable(HeliographError, ValueError):
    """An event that was set aside, and cannot be emitted yet.

    Attributes:
        reasons: Why not, each in one sentence. Never a value of the event.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(reasons))


class QuarantineError(HeliographError, OSError):
    """A file that is no quarantine.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} is no quarantine: {reason}; name another by HELIOGRAPH_QUARANTINE")


class OutboxError(HeliographError, OSError):
    """An outbox that cannot be used.

    Attributes:
        path: The directory, or the file in it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be used as an outbox: {reason}")


class OutboxFull(OutboxError):
    """An outbox that is as large as it may become: the record is not accepted.

    Attributes:
        max_bytes: How large that is.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        super().__init__(
            path, f"it is full, at {max_bytes} bytes; raise HELIOGRAPH_OUTBOX_MAX_BYTES, or mend the server"
        )


class SettingsError(HeliographError, ValueError):
    """A configuration that cannot be used.

    Attributes:
        problems: One sentence for each thing that is wrong, all of them at once.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the configuration cannot be used:\n" + "\n".join(f"- {problem}" for problem in problems))


class PluginError(HeliographError, RuntimeError):
    """A plugin that cannot be loaded, or whose hook returned what no such hook may return."""


class DatabaseNotFound(_NotFound):
    """A database that the host does not have.

    Attributes:
        name: The name that was asked for.
    """

    def __init__(self, name: str | None, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(
            f"the host has no database {name!r} (it has: {', '.join(sorted(known)) or 'none'}); "
            f"give it one: Host(databases={{{name or 'data'!r}: 'path/to/file.db'}})"
        )


class NoTokenHandler(HeliographError, RuntimeError):
    """No plugin registered a token handler, and signed tokens are not allowed."""

    def __init__(self) -> None:
        super().__init__(
            "No token handlers are registered: allow signed tokens, "
            "or register a plugin with the hook `register_token_handler`"
        )


class TokenHandlerNotFound(HeliographError, ValueError):
    """No registered token handler has that name.

    Attributes:
        name: The name that was asked for.
        available: The names that there are, in call order.
    """

    def __init__(self, name: str, available: Sequence[str]) -> None:
        self.name = name
        self.available = tuple(available)
        super().__init__(f"Token handler {name!r} not found. Available handlers: {list(available)}")


class TokenInvalid(HeliographError):
    """A token that its handler knows and refuses.

    Attributes:
        message: Why, in words that may be shown to whoever presented the token.
    """

    def __init__(self, message: str = "Invalid token") -> None:
        self.message = message
        super().__init__(message)


class TokenMalformed(TokenInvalid):
    """The token's payload is not what its handler writes."""

    def __init__(self, message: str = "Invalid token: malformed payload") -> None:
        super().__init__(message)


class TokenSignatureInvalid(TokenInvalid):
    """The token was forged, or signed with a secret that is gone."""

    def __init__(self, message: str = "Invalid token signature") -> None:
        super().__init__(message)


class TokenExpired(TokenInvalid):
    """The token is past its end of life.

    Attributes:
        expired_at: When it ended, in seconds since the Unix epoch.
    """

    def __init__(self, expired_at: int, message: str = "Token has expired") -> None:
        self.expired_at = expired_at
        super().__init__(message)


class TokenRevoked(TokenInvalid):
    """The token was taken back before its end of life."""

    def __init__(self, message: str = "Token has been revoked") -> None:
        super().__init__(message)


class TokensDisabled(TokenInvalid, ValueError):
    """The host neither creates nor accepts this kind of token now."""

    def __init__(self, message: str = "Signed tokens are not enabled") -> None:
        super().__init__(message)


def qualified_name(thing: object) -> str:
    """The module and name of a class, or of the class of anything else, for use in a message."""
    cls = thing if isinstance(thing, type) else type(thing)
    return f"{cls.__module__}.{cls.__qualname__}"
