"""The settings of a host: read once, checked completely, and frozen.

A setting is one field of `Settings`. Its metadata, made by `_setting`, has everything else: the function that parses and
checks its value, its documentation, and Datasette's own setting, if there is one. The environment, Datasette's configuration and
arguments in code all go through the same parser. The documentation's table is generated from the same metadata.

A parser takes a value of any type (text of a variable, what YAML makes of a key, an object in code) and returns the setting's
value. It raises `ValueError` with the rest of a sentence that begins with the setting and the value: "HELIOGRAPH_TOKEN_TTL: '0'
must be a whole number above 0". So each message names the setting, the value and the fix, and all of them are collected into one
`SettingsError`: a person who sets up a server can fix everything at once.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from heliograph.errors import SettingsError, qualified_name
from heliograph.events import Privacy
from heliograph.semconv import EVENT_NAME_PATTERN, REQUEST_ATTRIBUTES, SCOPE
from heliograph.signatures import DIGESTS

PREFIX: Final = "HELIOGRAPH_"

SIGNED: Final = "signed"
DATABASE: Final = "database"
"""The names of the built-in token handlers."""

_MAX_CACHE_SECONDS: Final = 60
_MIN_OUTBOX_BYTES: Final = 1024 * 1024
_MAX_POSITIVE: Final = 2**31 - 1
"""The largest time that a setting accepts, in its unit: the largest signed 32-bit integer."""
_MAX_DIGITS: Final = 18
"""The longest text that is converted to a number: converting thousands of digits is slow, and an error in newer Pythons."""

logger: Final = logging.getLogger(SCOPE)


class Signal(str, enum.Enum):
    """The signals that an event can be emitted as."""

    LOG = "log"
    """A log record with an EventName."""
    SPAN_EVENT = "span_event"
    """A span event on the current span, if that span is recording."""
    SPAN = "span"
    """A span of zero length, if no span event was added: for backends that store only traces."""


class Validation(str, enum.Enum):
    """The treatment of an event that violates its schema."""

    OFF = "off"
    """Events are not checked."""
    WARN = "warn"
    """The event is emitted, with its violations in an attribute."""
    QUARANTINE = "quarantine"
    """The event is set aside, with its violations. It can be replayed once its class is fixed."""
    STRICT = "strict"
    """`track` raises `InvalidEvent`, before any hook is called."""


class OutboxSync(str, enum.Enum):
    """The failures that a record in the outbox survives, from the moment when it was emitted."""

    NORMAL = "normal"
    """The process dies."""
    FULL = "full"
    """The process dies, or the power fails."""


class OutboxWrite(str, enum.Enum):
    """The way in which the outbox writes its files."""

    AUTO = "auto"
    """A memory map, if the directory's file system keeps its promise for reserved space; else system calls."""
    MAP = "map"
    """A memory map: fastest. Somebody who truncates a file that is in use kills the process."""
    PWRITE = "pwrite"
    """System calls: slower, and safe on every file system."""


class OutboxFullPolicy(str, enum.Enum):
    """The treatment of records when the outbox has reached its maximum size."""

    REJECT = "reject"
    """New records are rejected."""
    DROP_OLDEST = "drop_oldest"
    """The oldest records are deleted."""


# Parsers: each raises ValueError with the rest of a message, see the module's documentation.


def _parse_list(value: object) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in words):
        raise ValueError("must be a comma-separated list")
    return tuple(word.strip() for word in words if word.strip())


def _parse_signals(value: object) -> frozenset[Signal]:
    names = [signal.value for signal in Signal]
    words = _parse_list(value)
    if not words or not set(words) <= set(names):
        raise ValueError(f"must be one or more of {', '.join(names)}, separated by commas")
    return frozenset(map(Signal, words))


def _parser_of(kind: type[enum.Enum]) -> Callable[[object], object]:
    def parse(value: object) -> object:
        try:
            return kind(value.strip().lower() if isinstance(value, str) else value)
        except ValueError:
            raise ValueError(f"must be one of {', '.join(str(member.value) for member in kind)}") from None

    return parse


def _parse_actor_keys(value: object) -> tuple[str, ...]:
    words = _parse_list(value)
    levels = [level.value for level in Privacy]
    for word in words:
        key, colon, level = word.partition(":")
        if colon and (level not in levels or key.startswith("-")):
            raise ValueError(f"must not contain {word!r}; write a key, a colon and one of {', '.join(levels)}")
    return words


def _parse_context(value: object) -> tuple[str, ...]:
    words = _parse_list(value)
    for word in words:
        if word not in REQUEST_ATTRIBUTES:
            raise ValueError(f"must not contain {word!r}; the names are {', '.join(REQUEST_ATTRIBUTES)}")
    return words


def _parse_text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("must be text")


def _parse_path(value: object) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ValueError("must be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:  # `~` or `~user` without a home directory
        raise ValueError("must be a path without `~`, because that user has no home directory") from None


def _parse_namespace(value: object) -> str:
    if isinstance(value, str) and EVENT_NAME_PATTERN.fullmatch(value) and value.split(".")[0] != SCOPE:
        return value
    raise ValueError(
        "must be lower-case words that begin with a letter, separated by `.` or `_`, and must not begin with `heliograph`"
    )


def _parse_token_handlers(value: object) -> tuple[str, ...]:
    words = _parse_list(value)
    if not words or not set(words) <= {SIGNED, DATABASE} or len(set(words)) != len(words):
        raise ValueError(f"must be {SIGNED}, {DATABASE}, or both, separated by a comma")
    return words


def _parse_digests(value: object) -> tuple[str, ...]:
    words = _parse_list(value)
    if not words or not set(words) <= DIGESTS.keys() or len(set(words)) != len(words):
        raise ValueError(f"must be one or several of {', '.join(DIGESTS)}, separated by commas")
    return words


def _parse_cache_seconds(value: object) -> int:
    number = _whole_number(value)
    if number is None or not 0 <= number <= _MAX_CACHE_SECONDS:
        raise ValueError(f"must be a whole number of seconds, {_MAX_CACHE_SECONDS} at most")
    return number


def _parse_count(value: object) -> int:
    number = _whole_number(value)
    if number is None or not 0 <= number <= _MAX_POSITIVE:
        raise ValueError(f"must be a whole number, 0 or above, and {_MAX_POSITIVE} at most")
    return number


def _parse_flag(value: object) -> bool:
    known = {True: True, False: False, "true": True, "1": True, "false": False, "0": False}
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, (str, bool)) and word in known:  # the type first: 0 and 1 are equal to False and True
        return known[word]
    raise ValueError("must be `true` or `false`")


def _parse_positive(value: object) -> int:
    number = _whole_number(value)
    if number is None or not 0 < number <= _MAX_POSITIVE:
        raise ValueError(f"must be a whole number above 0, and {_MAX_POSITIVE} at most")
    return number


def _parse_outbox_bytes(value: object) -> int:
    number = _whole_number(value)
    if number is None or number < _MIN_OUTBOX_BYTES:
        raise ValueError(f"must be a whole number of bytes, {_MIN_OUTBOX_BYTES} at least")
    return number


def _whole_number(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if len(value) <= _MAX_DIGITS and value.strip().isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parse_plugin_config(value: object) -> Mapping[str, Mapping[str, object]]:
    try:
        config = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of nested brackets
        raise ValueError(f"must be JSON ({error})") from None
    if not isinstance(config, Mapping) or not all(isinstance(each, Mapping) for each in config.values()):
        raise ValueError('must be a JSON object of objects, such as {"my-plugin": {"key": "value"}}')
    return config


def _setting(
    default: object, parse: Callable[[object], object], doc: str, *, in_datasette: str = "", secret: bool = False
) -> Any:
    """Return a field of `Settings`.

    Args:
        default: The value of a setting that is not set.
        parse: The parser: see the module's documentation.
        doc: The documentation, in Markdown.
        in_datasette: Datasette's own setting for the same thing. The plugin then has no such key.
        secret: True hides the value in `repr` and in messages.
    """
    metadata = {"parse": parse, "doc": doc, "in_datasette": in_datasette, "secret": secret}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, repr=not secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a host.

    ``Settings(…)`` does not read the environment: a setting that is not an argument has its default. `Settings.from_env` reads
    each setting from its variable (``token_ttl`` from ``HELIOGRAPH_TOKEN_TTL``) or, in Datasette, from a key of ``plugins:
    heliograph:``, unless Datasette has a setting of its own for it. To change one setting of an environment in code, use
    ``dataclasses.replace(Settings.from_env(), …)``.

    Raises:
        SettingsError: Arguments have values that are not allowed; it lists all of them.
    """

    signals: frozenset[Signal] = _setting(
        frozenset({Signal.LOG, Signal.SPAN_EVENT}),
        _parse_signals,
        "The signals that an event is emitted as: any of `log`, `span_event`, `span`.",
    )
    namespace: str = _setting(
        "app",
        _parse_namespace,
        "The first part of the event name, for event classes without a namespace of their own. (In Datasette, those of an installed "
        "plugin have the name of its distribution.)",
    )
    validation: Validation = _setting(
        Validation.WARN,
        _parser_of(Validation),
        "The treatment of an event that violates its schema: `off` (events are not checked), `warn` (it is emitted with its "
        "violations in an attribute, and counted), `quarantine` (it is set aside, and can be replayed), `strict` (`track` "
        "raises `InvalidEvent`; not in Datasette).",
    )
    quarantine: Path = _setting(
        Path("heliograph-quarantine.db"), _parse_path, "The SQLite file for events that are set aside."
    )
    recent_events: Path | None = _setting(
        None,
        _parse_path,
        "An SQLite file. The newest events, as they are exported, are kept in it, for Datasette's page `/-/heliograph` (in Datasette only).",
    )
    actor: tuple[str, ...] = _setting(
        ("*", "-email"),
        _parse_actor_keys,
        "The actor's keys that are exported: `*` for all, `name` adds a key, `-name` removes it, `name:hash` or `name:mask` "
        "protects its value. Empty: none.",
    )
    context: tuple[str, ...] = _setting(
        (),
        _parse_context,
        "The attributes of the current HTTP request that events have: any of "
        f"{', '.join(f'`{name}`' for name in REQUEST_ATTRIBUTES)}. Most of them are personal data.",
    )
    privacy_default: Privacy = _setting(
        Privacy.PLAIN,
        _parser_of(Privacy),
        "The privacy of a field that declares none: `plain`, `mask`, `hash`, or `drop` (deny by default).",
    )
    privacy_key: str | None = _setting(
        None,
        _parse_text,
        "The key for hashing: with the same key, the same value has the same hash. Without a key, values to be hashed are "
        "dropped, with a warning.",
        secret=True,
    )
    opt_in: tuple[str, ...] = _setting(
        (),
        _parse_list,
        "The names of the attributes with the requirement level `opt_in` that are exported; `*` for all of them.",
    )
    opt_out: tuple[str, ...] = _setting(
        (),
        _parse_list,
        "The names of attributes that are not exported, such as `datasette.delete_row.pks`, with all attributes below them.",
    )
    outbox: Path | None = _setting(
        None,
        _parse_path,
        "A directory. Log records are written to it before they are sent, and stay there until a server accepts them.",
    )
    outbox_sync: OutboxSync = _setting(
        OutboxSync.NORMAL,
        _parser_of(OutboxSync),
        "The failures that a record in the outbox survives: `normal` (the process dies) or `full` (the power fails, too).",
    )
    outbox_write: OutboxWrite = _setting(
        OutboxWrite.AUTO,
        _parser_of(OutboxWrite),
        "The way in which the outbox writes its files: `map` (a memory map), `pwrite` (system calls: slower, and safe on every "
        "file system), or `auto` (`map` on ext3, ext4, xfs and tmpfs, `pwrite` elsewhere).",
    )
    outbox_max_bytes: int = _setting(2**30, _parse_outbox_bytes, "The maximum size of the outbox, in bytes.")
    outbox_full: OutboxFullPolicy = _setting(
        OutboxFullPolicy.REJECT,
        _parser_of(OutboxFullPolicy),
        "The treatment of records when the outbox has reached its maximum size: `reject` (new records are rejected and "
        "counted) or `drop_oldest` (the oldest records are deleted and counted).",
    )
    outbox_allow_plaintext: bool = _setting(
        False,
        _parse_flag,
        "`true` allows the outbox to send OTLP headers, which may contain credentials, over plain HTTP to another machine.",
    )
    secret: tuple[str, ...] = _setting(
        (),
        _parse_list,
        "The key that signs tokens. To rotate it, set several keys, separated by commas, the newest first. Without a key, one "
        "is generated, with a warning, and tokens become invalid when the process ends.",
        in_datasette="the option `--secret`",
        secret=True,
    )
    signature_digest: tuple[str, ...] = _setting(
        ("sha1",),
        _parse_digests,
        "The hash function of signatures, and so of signed tokens: `sha1`, with which Datasette accepts them, or `sha256` or `sha512`. "
        "To change it, set several, separated by commas: the first one signs, and all are accepted.",
        in_datasette="SHA-1, which Datasette always uses",
    )
    allow_signed_tokens: bool = _setting(
        True,
        _parse_flag,
        "`false` switches signed tokens off: none is created, and none is accepted.",
        in_datasette="the setting `allow_signed_tokens`",
    )
    token_ttl: int | None = _setting(
        None,
        _parse_positive,
        "The longest lifetime of a signed token, in seconds.",
        in_datasette="the setting `max_signed_tokens_ttl`",
    )
    token_handlers: tuple[str, ...] = _setting(
        (SIGNED,),
        _parse_token_handlers,
        "The built-in token handlers: `signed`, `database`, or both, separated by a comma. The first one is the default for new tokens. "
        "(In Datasette, `signed` is always there.)",
    )
    token_database: Path | None = _setting(
        None,
        _parse_path,
        "The SQLite file of the tokens of the handler `database`. Without it, they are in the internal database, which then has to be a "
        "file. `:memory:` is for tests.",
    )
    token_cache_seconds: int = _setting(
        5,
        _parse_cache_seconds,
        "The seconds for which a valid token of a database is not looked up again, from 0 to 60. A revocation by another process has an "
        "effect after this time.",
    )
    token_rejections_per_minute: int = _setting(
        60,
        _parse_count,
        "The number of events `heliograph.token_rejected` in a minute, for each reason, in each process; `0` makes none. Rejections "
        "beyond it are counted.",
    )
    flush_timeout_millis: int = _setting(
        5000,
        _parse_positive,
        "The longest time that `flush` and `shutdown` take, in milliseconds, also when the backend is down.",
    )
    plugin_config: Mapping[str, Mapping[str, object]] = _setting(
        {},
        _parse_plugin_config,
        "The configuration of plugins, as `plugin_config(name)` returns it: a JSON object with an object for each plugin.",
        in_datasette="the key `plugins` of its configuration",
        secret=True,
    )

    def __post_init__(self) -> None:
        problems: list[str] = []
        # A default needs no parsing. `is not`, because `!=` would call a method of the value, which may be of any class.
        given = {
            name: getattr(self, name) for name, field in FIELDS.items() if getattr(self, name) is not field.default
        }
        for name, value in _parse_each(given, lambda name: f"Settings({name}=…)", problems).items():
            object.__setattr__(self, name, value)
        if problems:
            raise SettingsError(problems)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        config: Mapping[str, object] | None = None,
        check: Callable[[Mapping[str, object]], Iterable[str]] = lambda _: (),
    ) -> Settings:
        """Return the settings of the environment, then of the configuration, then the defaults.

        A variable with an empty value counts as not set, as in OpenTelemetry's specification. ``HELIOGRAPH_ACTOR`` is an
        exception, because an empty list of keys has a meaning. A variable with an unknown name causes a warning if the
        name is similar to that of a setting; other programs may use the same prefix, so it is not an error.

        Args:
            environ: The environment; `None` is the environment of the process.
            config: Datasette's ``plugins: heliograph:``. The environment takes precedence over it.
            check: Returns further problems, given the values that are allowed by themselves, by setting. They are reported
                together with all others.

        Raises:
            SettingsError: Values or keys are not allowed; it lists all of them.
        """
        environ = os.environ if environ is None else environ
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX) and (value or name == variable_name("actor"))
        }
        _warn_of_unknown_variables(given)
        config = config or {}  # a key without a value in YAML is `None`
        if not isinstance(config, Mapping):
            raise SettingsError(["plugins.heliograph: it must be a mapping of settings to their values"])
        problems = [problem for key in config if (problem := _problem_of_key(key))]
        values = _parse_each({k: v for k, v in given.items() if k in FIELDS}, variable_name, problems)
        rest = {k: v for k, v in config.items() if k in FIELDS and k not in given}
        values |= _parse_each(rest, lambda name: f"plugins.heliograph.{name}", problems)
        problems += check(values)
        if problems:
            raise SettingsError(problems)
        return cls(**values)  # type: ignore[arg-type]


def settings_or_environment(settings: object, check: Callable[[Mapping[str, object]], Iterable[str]]) -> Settings:
    """Return the settings that a program passed, or those of the environment if it passed none.

    Args:
        settings: The argument of the program.
        check: See `Settings.from_env`.

    Raises:
        SettingsError: The environment has invalid settings.
        TypeError: The argument is something else.
    """
    if settings is None:
        return Settings.from_env(check=check)
    if isinstance(settings, Settings):
        return settings
    wanted = "settings must be an object of Settings"
    if settings is Settings:
        raise TypeError(f"{wanted}, not the class; write Settings()")
    if isinstance(settings, Mapping):
        raise TypeError(
            f"{wanted}, not a mapping; write Settings(signals='log')"
        )  # without its values, which may be secrets
    raise TypeError(
        f"{wanted}, not of {qualified_name(settings)}; pass plugins as plugins=[…], and event classes as events=[…]"
    )


FIELDS: Final = {field.name: field for field in dataclasses.fields(Settings)}
"""The fields of `Settings`, by name, in order."""


def variable_name(setting: str) -> str:
    """Return the name of a setting's environment variable."""
    return PREFIX + setting.upper()


def _parse_each(values: Mapping[str, object], label: Callable[[str], str], problems: list[str]) -> dict[str, object]:
    """Return the parsed values, and append a message to ``problems`` for each that is not allowed."""
    parsed: dict[str, object] = {}
    for name, value in values.items():
        metadata = FIELDS[name].metadata
        try:
            parsed[name] = metadata["parse"](value)
        except ValueError as error:
            quoted = "its value" if metadata["secret"] else repr(value)
            problems.append(f"{label(name)}: {quoted} {error}")
    return parsed


def _problem_of_key(key: str) -> str | None:
    """Return a message if Datasette's configuration must not have this key, else `None`."""
    if key not in FIELDS:
        similar = difflib.get_close_matches(str(key), FIELDS, n=1)
        hint = f"did you mean {similar[0]!r}?" if similar else f"the settings are: {', '.join(FIELDS)}"
        return f"plugins.heliograph.{key}: there is no such setting; {hint}"
    own = FIELDS[key].metadata["in_datasette"]
    return f"plugins.heliograph.{key}: remove it; Datasette has its own: {own}" if own else None


def _warn_of_unknown_variables(given: Mapping[str, str]) -> None:
    for name in given:
        similar = difflib.get_close_matches(name, FIELDS, n=1)
        if name not in FIELDS and similar:
            logger.warning("%s is not a setting; did you mean %s?", variable_name(name), variable_name(similar[0]))


def resolve_references(config: object) -> object:
    """Return a plugin's configuration with its references replaced, as Datasette does.

    ``{"$env": NAME}`` becomes the value of an environment variable (`None` if it is not set), and ``{"$file": PATH}`` the
    text of a file. All other values stay, dicts and lists at any depth included.

    Raises:
        OSError: A file cannot be read.
    """
    if isinstance(config, Mapping):
        if config.keys() == {"$env"}:
            return os.environ.get(str(config["$env"]))
        if config.keys() == {"$file"}:
            return Path(str(config["$file"])).read_text()
        return {key: resolve_references(value) for key, value in config.items()}
    if isinstance(config, list):
        return [resolve_references(value) for value in config]
    return config
