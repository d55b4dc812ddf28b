"""The settings: read once, every problem told at once, frozen from then on."""

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

from heliograph.errors import SettingsError
from heliograph.events import Privacy
from heliograph.semconv import EVENT_NAME_PATTERN, SCOPE

PREFIX: Final = "HELIOGRAPH_"

_MAX_SIZE_DIGITS: Final = 18
_LEAST_BYTES: Final = 1024 * 1024
_MAX_DIGITS: Final = 10  # of 2**31, the first number that is too large

logger: Final = logging.getLogger(SCOPE)


class Signal(str, enum.Enum):
    """What an event goes out as."""

    LOG = "log"
    """A log record with an EventName."""
    SPAN_EVENT = "span_event"
    """A span event on the current span, when that is recording."""
    SPAN = "span"
    """A span of its own without length, where no span event was made: for backends that keep traces alone."""


class Validation(str, enum.Enum):
    """What becomes of an event that breaks its contract."""

    OFF = "off"
    """It is emitted; nothing is checked."""
    WARN = "warn"
    """It is emitted, and says what is wrong with it."""
    QUARANTINE = "quarantine"
    """It is set aside, with the reasons, to be replayed once the class was mended."""
    STRICT = "strict"
    """It is refused, by an `InvalidEvent`, before any hook ran."""


class OutboxSync(str, enum.Enum):
    """What a record in the outbox survives as soon as it was emitted."""

    NORMAL = "normal"
    """The death of the process."""
    FULL = "full"
    """A power cut, too."""


class OutboxFullPolicy(str, enum.Enum):
    """What becomes of records when the outbox is as large as it may become."""

    REJECT = "reject"
    """What comes is not accepted."""
    DROP_OLDEST = "drop_oldest"
    """What waits longest is given up."""


def _words(value: object) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in words):
        raise ValueError("is not a comma-separated list")
    return tuple(word.strip() for word in words if word.strip())


def _signals(value: object) -> frozenset[Signal]:
    words = _words(value)
    unknown = [word for word in words if word not in {signal.value for signal in Signal}]
    if unknown or not words:
        raise ValueError(f"has to be one or more of {', '.join(signal.value for signal in Signal)}")
    return frozenset(map(Signal, words))


def _one_of(kind: type[enum.Enum]) -> Callable[[object], object]:
    def read(value: object) -> object:
        try:
            return kind(value.strip().lower() if isinstance(value, str) else value)
        except ValueError:
            raise ValueError(f"has to be one of {', '.join(str(member.value) for member in kind)}") from None

    return read


def _actor(value: object) -> tuple[str, ...]:
    words = _words(value)
    levels = [level.value for level in Privacy]
    for word in words:
        key, colon, level = word.partition(":")
        if colon and (level not in levels or key.startswith("-")):
            raise ValueError(f"has {word!r} in it; after a key and a colon comes one of {', '.join(levels)}")
    return words


def _text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("has to be text")


def _path(value: object) -> Path:
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        return Path(value)
    raise ValueError("has to be the path of a file")


def _size(value: object) -> int:
    number = (
        int(value) if isinstance(value, str) and len(value) <= _MAX_SIZE_DIGITS and value.strip().isdecimal() else value
    )
    if isinstance(number, int) and not isinstance(number, bool) and number >= _LEAST_BYTES:
        return number
    raise ValueError(f"has to be a whole number of bytes, {_LEAST_BYTES} at least")


def _namespace(value: object) -> str:
    if isinstance(value, str) and EVENT_NAME_PATTERN.fullmatch(value) and value.split(".")[0] != SCOPE:
        return value
    raise ValueError("has to be lower-case words that start with a letter, parted by `.` or `_`, and not `heliograph`")


def _flag(value: object) -> bool:
    known = {True: True, False: False, "true": True, "1": True, "false": False, "0": False}
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, (str, bool)) and word in known:
        return known[word]
    raise ValueError("has to be `true` or `false`")


def _positive(value: object) -> int:
    number = int(value) if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.strip().isdecimal() else value
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**31:
        return number
    raise ValueError("has to be a whole number above 0")


def _plugin_config(value: object) -> Mapping[str, Mapping[str, object]]:
    try:
        config = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON ({error})") from None
    if not isinstance(config, Mapping) or not all(isinstance(each, Mapping) for each in config.values()):
        raise ValueError('has to be a JSON object of objects: {"my-plugin": {"key": "value"}}')
    return config


def _setting(
    default: object, read: Callable[[object], object], doc: str, *, host: str = "", secret: bool = False
) -> Any:
    """A field with what reads it; ``host`` names what Datasette has instead, ``secret`` keeps the value out of sight."""
    metadata = {"read": read, "doc": doc, "host": host, "secret": secret}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, repr=not secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a host.

    Each is also an environment variable: ``token_ttl`` is ``HELIOGRAPH_TOKEN_TTL``; in Datasette it is a key of
    ``plugins: heliograph:`` too. Code wins over the environment, the environment over Datasette's configuration, that
    over the default.
    """

    signals: frozenset[Signal] = _setting(
        frozenset({Signal.LOG, Signal.SPAN_EVENT}),
        _signals,
        "What an event goes out as: any of `log`, `span_event`, `span`.",
    )
    namespace: str = _setting("app", _namespace, "First part of the event name, for event classes that name none.")
    validation: Validation = _setting(
        Validation.WARN,
        _one_of(Validation),
        "What becomes of an event that breaks its contract: `off` (not checked), `warn` (emitted, with what is wrong in an "
        "attribute, and counted), `quarantine` (set aside, to be replayed), `strict` (`InvalidEvent`; not in Datasette).",
    )
    quarantine: Path = _setting(
        Path("heliograph-quarantine.db"), _path, "The SQLite file of the events that were set aside."
    )
    actor: tuple[str, ...] = _setting(
        ("*", "-email"),
        _actor,
        "The actor's keys that may leave: `*` all, a name adds it, `-name` takes it away, `name:hash` (or `mask`) "
        "protects it; empty: none.",
    )
    privacy_default: Privacy = _setting(
        Privacy.PLAIN,
        _one_of(Privacy),
        "What leaves of a field that declares nothing: `plain`, `mask`, `hash` or `drop` (deny by default).",
    )
    privacy_key: str | None = _setting(
        None,
        _text,
        "The key of hashes: the same value gives the same hash. Without it, what is to be hashed is dropped, with a "
        "warning.",
        secret=True,
    )
    opt_in: tuple[str, ...] = _setting(
        (), _words, "Attributes with the requirement `opt_in` that are emitted, by name; `*` is all of them."
    )
    outbox: Path | None = _setting(
        None,
        _path,
        "A directory: log records are written there before they are sent, and sent until a server took them.",
    )
    outbox_sync: OutboxSync = _setting(
        OutboxSync.NORMAL,
        _one_of(OutboxSync),
        "What a record in the outbox survives: `normal` (the death of the process), `full` (a power cut, too).",
    )
    outbox_max_bytes: int = _setting(2**30, _size, "How large the outbox may become, in bytes.")
    outbox_full: OutboxFullPolicy = _setting(
        OutboxFullPolicy.REJECT,
        _one_of(OutboxFullPolicy),
        "What happens then: `reject` (what comes is not accepted, and counted) or `drop_oldest`.",
    )
    outbox_allow_plaintext: bool = _setting(
        False, _flag, "Whether headers of OTLP may go over plain HTTP to another host than this one."
    )
    secret: tuple[str, ...] = _setting(
        (),
        _words,
        "Signing key of signed tokens; several, comma-separated, newest first, rotate it. "
        "Without it one is generated, with a warning, and tokens end with the process.",
        host="its option `--secret`",
        secret=True,
    )
    allow_signed_tokens: bool = _setting(
        True, _flag, "Whether the host creates and accepts signed tokens.", host="its setting `allow_signed_tokens`"
    )
    token_ttl: int | None = _setting(
        None, _positive, "Longest life of a signed token, in seconds.", host="its setting `max_signed_tokens_ttl`"
    )
    flush_timeout_millis: int = _setting(
        5000, _positive, "How long `flush` and `shutdown` wait; it holds with the backend down."
    )
    plugin_config: Mapping[str, Mapping[str, object]] = _setting(
        {},
        _plugin_config,
        "What `plugin_config(name)` gives: a JSON object, by the plugin's name.",
        host="its configuration's `plugins`",
        secret=True,
    )

    def __post_init__(self) -> None:
        problems: list[str] = []
        said = {name: getattr(self, name) for name, field in FIELDS.items() if getattr(self, name) is not field.default}
        for name, value in _read_each(said, lambda name: f"Settings({name}=…)", problems).items():
            object.__setattr__(self, name, value)
        if problems:
            raise SettingsError(problems)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, config: Mapping[str, object] | None = None
    ) -> Settings:
        """The settings of an environment.

        An empty variable counts as one that is not set, as in OpenTelemetry's specification (but for
        ``HELIOGRAPH_ACTOR``, which may be empty on purpose). An unknown variable whose name is close to that of a setting is told in a warning.

        Args:
            environ: The environment; `None` is that of the process.
            config: What to take where the environment says nothing: Datasette's ``plugins: heliograph:``.

        Raises:
            SettingsError: Every problem of both, at once.
        """
        environ = os.environ if environ is None else environ
        said = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in environ.items()
            if name.startswith(PREFIX) and (value or name == variable_name("actor"))
        }
        _warn_of_unknown(said)
        if not isinstance(config := config or {}, Mapping):
            raise SettingsError(["plugins.heliograph: it has to be a mapping of settings"])
        problems = [problem for key in config if (problem := _problem_of_key(key))]
        values = _read_each({k: v for k, v in said.items() if k in FIELDS}, variable_name, problems)
        rest = {k: v for k, v in config.items() if k in FIELDS and k not in said}
        values |= _read_each(rest, lambda name: f"plugins.heliograph.{name}", problems)
        if problems:
            raise SettingsError(problems)
        return cls(**values)  # type: ignore[arg-type]


FIELDS: Final = {field.name: field for field in dataclasses.fields(Settings)}


def variable_name(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def _read_each(values: Mapping[str, object], label: Callable[[str], str], problems: list[str]) -> dict[str, object]:
    read: dict[str, object] = {}
    for name, value in values.items():
        metadata = FIELDS[name].metadata
        try:
            read[name] = metadata["read"](value)
        except ValueError as error:
            shown = "its value" if metadata["secret"] else repr(value)
            problems.append(f"{label(name)}: {shown} {error}")
    return read


def _problem_of_key(key: str) -> str | None:
    if key not in FIELDS:
        close = difflib.get_close_matches(str(key), FIELDS, n=1)
        meant = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(FIELDS)}"
        return f"plugins.heliograph.{key}: there is no such setting; {meant}"
    instead = FIELDS[key].metadata["host"]
    return f"plugins.heliograph.{key}: Datasette decides that itself, by {instead}" if instead else None


def _warn_of_unknown(said: Mapping[str, str]) -> None:
    for name in said:
        close = difflib.get_close_matches(name, FIELDS, n=1)
        if name not in FIELDS and close:
            logger.warning("%s is no setting; did you mean %s?", variable_name(name), variable_name(close[0]))


def resolve_references(config: object) -> object:
    """A plugin's configuration, with what stands for ``{"$env": NAME}`` and ``{"$file": PATH}`` in it."""
    if isinstance(config, Mapping):
        if config.keys() == {"$env"}:
            return os.environ.get(str(config["$env"]))
        if config.keys() == {"$file"}:
            return Path(str(config["$file"])).read_text()
        return {key: resolve_references(value) for key, value in config.items()}
    if isinstance(config, list):
        return [resolve_references(value) for value in config]
    return config
