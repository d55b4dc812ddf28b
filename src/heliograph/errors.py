"""The tree of heliograph's own exceptions. A wrong argument is a `TypeError` or a `ValueError` of Python.

::

    HeliographError                          base of all the others
    ├── SchemaError (TypeError)              an event class cannot be registered
    │   ├── DuplicateEventName               two classes have the same event name and version
    │   └── SchemaErrors                     several classes have no schema; lists every problem
    ├── UnregisteredEvent (KeyError)         no plugin registered the class of an event
    ├── FileFormatError (ValueError)         a file does not have the expected format
    ├── InvalidEvent (ValueError)            an event violates its schema, and validation is strict
    ├── NotReplayable (ValueError)           an event in the quarantine cannot be emitted yet
    ├── QuarantineError (OSError)            a file cannot be used as a quarantine
    ├── OutboxError (OSError)                a directory cannot be used as an outbox
    │   └── OutboxFull                       the outbox has reached its maximum size
    ├── SettingsError (ValueError)           settings are invalid; lists every problem
    ├── PluginError (RuntimeError)           a plugin cannot be loaded, added or removed, or its hook failed
    ├── DatabaseNotFound (KeyError)          the host has no database with that name
    ├── NoTokenHandler (RuntimeError)        no plugin registered a token handler
    ├── TokenHandlerNotFound (ValueError)    no registered token handler has that name
    ├── NoTokenDatabase (RuntimeError)       the host keeps no tokens in a database
    ├── TokenNotFound (KeyError)             no token in the database has that id
    └── TokenInvalid                         a token handler rejects a token
        ├── TokenMalformed                   its payload is not one that the handler writes
        ├── TokenSignatureInvalid            it was forged, or signed with a secret that is no longer in use
        ├── TokenExpired                     its lifetime is over
        ├── TokenRevoked                     it was revoked before its lifetime was over
        └── TokensDisabled (ValueError)      the settings turn signed tokens off

The built-in class in parentheses is a second base class. Where Datasette raises a built-in exception in the same
situation, it is that one, so code written for Datasette catches ours.

Every message names the input that caused the error and the way to fix it, except those of `TokenInvalid`, which are written for
the user who presented the token. Data that a program may need is also an attribute. No exception contains a token, or a usable
part of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliograph.classes import ancestors, class_dict, qualified_name, qualname

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class HeliographError(Exception):
    """The base of heliograph's own exceptions."""


class SchemaError(HeliographError, TypeError):
    """An event class cannot be registered, usually because no schema can be compiled for it.

    It is raised by `configure`, `Host` and `Host.register`. Change the class as the reasons say.

    Attributes:
        event_class: The class.
        reasons: Every problem with the class, and how to fix it; at least one.
    """

    def __init__(self, event_class: object, *reasons: str) -> None:
        self.event_class = event_class
        self.reasons = reasons
        separator = " " if len(reasons) == 1 else "\n- "
        super().__init__(separator.join([f"{qualified_name(event_class)}:", *reasons]))

    @property
    def reason(self) -> str:
        """All problems as one text."""
        return "; ".join(self.reasons)


class DuplicateEventName(SchemaError):
    """Two classes have the same event name and version.

    It is raised when the second one is registered. Change the ``name`` or the ``namespace`` of one of them; if both are versions of
    one event, give each a ``version``.

    Attributes:
        event_class: The class whose registration failed.
        registered_class: The class that was registered with that name before.
        event_name: The name of both on the wire.
    """

    def __init__(self, event_class: type, registered_class: type, event_name: str) -> None:
        self.registered_class = registered_class
        self.event_name = event_name
        super().__init__(
            event_class,
            f"its event name {event_name!r} is already used by {qualified_name(registered_class)}; "
            "change the `name` or `namespace` of one of the classes, or give them different versions",
        )


class SchemaErrors(SchemaError):
    """Several classes have problems, so that no schema can be compiled for them.

    It is raised where `SchemaError` is, if more than one class has problems. Its text lists all of them.

    Attributes:
        event_class: The first of the classes.
        reasons: The problems of the first class.
        errors: The error of each class.
    """

    def __init__(self, errors: Sequence[SchemaError]) -> None:
        super().__init__(errors[0].event_class, *errors[0].reasons)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


class _NotFound(HeliographError, KeyError):
    """A `KeyError` whose text is its message."""

    def __str__(self) -> str:
        # KeyError.__str__ would return the repr of the message, with quotes around it.
        return str(self.args[0])


class UnregisteredEvent(_NotFound):
    """No plugin registered the class of an event, or any of its ancestors.

    It is raised by `Host.track` and `Host.track_event`. Return the class from a hook ``register_events``, or pass it as
    ``configure(events=[…])``.

    Attributes:
        event_class: The class of the event.
    """

    def __init__(self, event_class: type) -> None:
        self.event_class = event_class
        super().__init__(_unregistered(event_class))


def _unregistered(event_class: type) -> str:
    classes = ancestors(event_class)
    names = {name for each in classes for name in class_dict(each)}
    if type in classes:
        return (
            "an event class was tracked, not an event; create an object of the class: host.track(BanUserEvent(user=…))"
        )
    if not {"created", "properties"} & names:
        return (
            f"an object of {qualified_name(event_class)} was tracked, which is not an event; track an object of a dataclass that "
            "is built on heliograph.Event"
        )
    return (
        f"{qualified_name(event_class)} is not registered: return it from a plugin's `register_events` hook, and register that "
        f"plugin with the host, or pass the class as configure(events=[{qualname(event_class)}])"
    )


class FileFormatError(HeliographError, ValueError):
    """A file does not have the expected format.

    It is raised by the commands and functions that read lock files, registries of Weaver, recorded events, and files with leaked tokens.
    Pass the file that the message asks for.
    """


class InvalidEvent(HeliographError, ValueError):
    """An event violates its schema, and the setting ``validation`` is ``strict``.

    It is raised by `Host.track` and `Host.track_event`, before any hook is called, and nothing is emitted. Fix the code that makes the
    event, or the annotations of its class.

    Attributes:
        event_class: The class of the event.
        violations: Each violation as text: its kind and the path to the field, such as ``"required-missing: user.id"``.
            Never a value.
    """

    def __init__(self, event_class: type, violations: Sequence[str]) -> None:
        self.event_class = event_class
        self.violations = tuple(violations)
        super().__init__(
            f"{qualified_name(event_class)} violates its schema: {'; '.join(violations)}. "
            "Fix the code that creates the event, or the annotations of the class"
        )


class NotReplayable(HeliographError, ValueError):
    """An event in the quarantine cannot be emitted yet.

    It is raised by `Host.replay`. Change the class as the reasons say, or give it an upcaster (`Event.upcast`), and replay the event again.

    Attributes:
        reasons: Why it cannot be emitted, one sentence each. Never a value of the event.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(reasons))


class QuarantineError(HeliographError, OSError):
    """A file cannot be used as a quarantine.

    It is raised by the commands ``heliograph quarantine``. (For a host, it is one of the problems of a `SettingsError`.) Set
    ``HELIOGRAPH_QUARANTINE`` to a file that the program may write, or to one that does not exist.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be used as a quarantine: {reason}; set HELIOGRAPH_QUARANTINE to another file")


class OutboxError(HeliographError, OSError):
    """A directory cannot be used as an outbox.

    It is raised by `configure`, `OutboxLogRecordProcessor`, `OutboxSpanProcessor`, and the commands that use an outbox. (If there are other
    problems, too, it is one of those of a `SettingsError`.) Give the user of the process the right to write to the directory, or set
    ``HELIOGRAPH_OUTBOX`` to another one.

    Attributes:
        path: The directory, or a file in it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be used as an outbox: {reason}")


class OutboxFull(OutboxError):
    """The outbox has reached its maximum size, so it does not accept a record.

    It is raised by `Host.track` and `Host.track_event` if the setting ``validation`` is ``strict``, and by an `OutboxLogRecordProcessor` that
    is strict. Otherwise the record is counted, and an error is logged. Fix the server that does not accept records, raise
    ``HELIOGRAPH_OUTBOX_MAX_BYTES``, or set ``HELIOGRAPH_OUTBOX_FULL=drop_oldest`` to drop the oldest records.

    Attributes:
        max_bytes: The maximum size, in bytes.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        super().__init__(
            path,
            f"it is full: its maximum size is {max_bytes} bytes; raise HELIOGRAPH_OUTBOX_MAX_BYTES, "
            "or fix the server that does not accept its records",
        )


class SettingsError(HeliographError, ValueError):
    """Settings are invalid.

    It is raised by `Settings`, and by what reads the environment: `Settings.from_env`, `configure`, `Host`, `OutboxLogRecordProcessor`,
    `OutboxSpanProcessor` and the commands. Each problem names the setting, its value (if it is not secret) and the values that are allowed.

    Attributes:
        problems: Every problem, one sentence each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("the settings cannot be used:\n" + "\n".join(f"- {problem}" for problem in problems))


class PluginError(HeliographError, RuntimeError):
    """A plugin cannot be loaded, added or removed, or one of its hooks failed or returned a wrong value.

    It is raised by `configure`, `Host` and `Host.register` for the plugin and its hook ``register_events``, by `Host.unregister` for a plugin that
    is not registered, and by `Host.create_token`, `Host.verify_token` and `Host.verify` if a hook ``register_token_handler`` returned
    something else. Fix the plugin that the message names, or remove it.
    """


class DatabaseNotFound(_NotFound):
    """The host has no database with that name.

    It is raised by `Host.get_database`. Pass the database to `configure` or `Host`: ``databases={"data": "data.db"}``.

    Attributes:
        name: The name asked for; `None` if the first database was asked for.
    """

    def __init__(self, name: str | None, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(
            f"the host has no database {name!r} (it has: {', '.join(sorted(known)) or 'none'}); "
            f"add it: Host(databases={{{name or 'data'!r}: 'path/to/file.db'}})"
        )


class NoTokenHandler(HeliographError, RuntimeError):
    """No plugin registered a token handler, and the settings turn signed tokens off.

    It is raised by `Host.create_token`. Set ``HELIOGRAPH_ALLOW_SIGNED_TOKENS=true``, or add ``database`` to
    ``HELIOGRAPH_TOKEN_HANDLERS``.
    """

    def __init__(self) -> None:
        super().__init__(
            "No token handlers are registered: turn on the setting allow_signed_tokens, "
            "or register a plugin with the hook `register_token_handler`"
        )


class TokenHandlerNotFound(HeliographError, ValueError):
    """No registered token handler has that name.

    It is raised by `Host.create_token` for its argument ``handler``. Use one of the names in ``available``.

    Attributes:
        name: The name asked for.
        available: The names of the registered handlers, in call order.
    """

    def __init__(self, name: str, available: Sequence[str]) -> None:
        self.name = name
        self.available = tuple(available)
        super().__init__(f"Token handler {name!r} not found. Available handlers: {list(available)}")


class TokenNotFound(_NotFound):
    """No token in the database has this id.

    It is raised by the functions of `heliograph.tokens`. ``heliograph token list`` shows the ids of all tokens.

    Attributes:
        token_id: The id.
    """

    def __init__(self, token_id: object) -> None:
        self.token_id = token_id
        super().__init__(f"there is no token with the id {token_id!r}; `heliograph token list` shows all")


class NoTokenDatabase(HeliographError, RuntimeError):
    """The host keeps no tokens in a database.

    It is raised by the functions of `heliograph.tokens`. Add ``database`` to ``HELIOGRAPH_TOKEN_HANDLERS``, and name a file in
    ``HELIOGRAPH_TOKEN_DATABASE``.
    """

    def __init__(self) -> None:
        super().__init__(
            "this host keeps no tokens in a database; add `database` to HELIOGRAPH_TOKEN_HANDLERS, and name a file in "
            "HELIOGRAPH_TOKEN_DATABASE"
        )


class TokenInvalid(HeliographError):
    """A token handler rejects a token.

    It is raised by `Host.verify_token` and `Host.verify`. Answer the request with HTTP 401, as the integrations with frameworks do. A token
    handler of your own raises it, or one of its subclasses, for a token that is its own and not valid.

    Attributes:
        message: The reason, which may be shown to the user who presented the token.
    """

    def __init__(self, message: str = "Invalid token") -> None:
        self.message = message
        super().__init__(message)


class TokenMalformed(TokenInvalid):
    """The payload of the token is not one that its handler writes.

    The signature of a signed token was right, so a program with the same secret made it: find that program. If it looks like a token that
    is kept in a database, its form or its checksum is wrong: the text is incomplete, or somebody made it up.
    """

    def __init__(self, message: str = "Invalid token: malformed payload") -> None:
        super().__init__(message)


class TokenSignatureInvalid(TokenInvalid):
    """The token was forged, or signed with a secret that is no longer in use.

    If a secret was rotated too early, put the old one behind the new one: ``HELIOGRAPH_SECRET=NEW,OLD``.
    """

    def __init__(self, message: str = "Invalid token signature") -> None:
        super().__init__(message)


class TokenExpired(TokenInvalid):
    """The lifetime of the token is over.

    The user needs a new token.

    Attributes:
        expired_at: When it expired, in seconds since the Unix epoch.
        token_id: The id of the token, if it has one.
    """

    def __init__(self, expired_at: int, message: str = "Token has expired", *, token_id: str | None = None) -> None:
        self.expired_at = expired_at
        self.token_id = token_id
        super().__init__(message)


class TokenRevoked(TokenInvalid):
    """The token was revoked before its lifetime was over.

    The user needs a new token. If none of your users presented it, somebody else has it: search for its id in ``heliograph.token.id``.

    Attributes:
        token_id: The id of the token, if it has one.
    """

    def __init__(self, message: str = "Token has been revoked", *, token_id: str | None = None) -> None:
        self.token_id = token_id
        super().__init__(message)


class TokensDisabled(TokenInvalid, ValueError):
    """The settings turn signed tokens off: the host neither creates nor accepts them.

    It is raised by a `SignedTokenHandler` that a plugin registers or calls, for texts that begin with ``dstok_``. (A host then has no such
    handler of its own: such a text is unknown to it.) Set ``HELIOGRAPH_ALLOW_SIGNED_TOKENS=true``, or create tokens by another handler.
    """

    def __init__(self, message: str = "Signed tokens are not enabled") -> None:
        super().__init__(message)
