"""The settings of a host: read once, checked completely, and frozen.

A setting is one field of `Settings`: its default, its parser, and its documentation. The table in ``docs/settings.md`` is generated from
the same fields. Each message about a value names the setting, the value (unless it is secret) and the fix. All messages are collected into
one `SettingsError`, so that a person who sets up a server can fix everything at once.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, Literal

from heliograph.arguments import check_argument
from heliograph.classes import qualified_name
from heliograph.errors import SettingsError
from heliograph.events import Privacy
from heliograph.settings import parsers
from heliograph.settings.choices import (
    SIGNED,
    OutboxFullPolicy,
    OutboxSync,
    OutboxWrite,
    Signal,
    SpanEventContent,
    Validation,
)
from heliograph.settings.environment import (
    given_in,
    parse_each,
    problem_of_key,
    variable_name,
    warn_of_unknown_variables,
)
from heliograph.settings.fields import Setting, setting


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

    signals: Setting[frozenset[Signal], Iterable[str]] = setting(
        frozenset({Signal.LOG, Signal.SPAN_EVENT}), parsers.parse_signals
    )
    """The signals that an event is emitted as: any of `log`, `span_event`, `span`."""
    span_event: Setting[SpanEventContent, SpanEventContent | Literal["full", "reference"]] = setting(
        SpanEventContent.FULL, parsers.parser_of(SpanEventContent)
    )
    """The attributes of a span event: `full` (those of the log record) or `reference` (the unique id and the name, by which the
    log record can be found). An event that has no log record has all of them."""
    namespace: str = setting("app", parsers.parse_namespace)
    """The first part of the event name, for event classes without a namespace of their own. (In Datasette, those of an
    installed plugin have the name of its distribution.)"""
    validation: Setting[Validation, Validation | Literal["off", "warn", "quarantine", "strict"]] = setting(
        Validation.WARN, parsers.parser_of(Validation)
    )
    """The treatment of an event that violates its schema: `off` (events are not checked), `warn` (it is emitted with its
    violations in an attribute, and counted), `quarantine` (it is set aside, and can be replayed), `strict` (`track` raises
    `InvalidEvent`; not in Datasette)."""
    quarantine: Setting[Path, str | PathLike[str]] = setting(Path("heliograph-quarantine.db"), parsers.parse_path)
    """The SQLite file for events that are set aside."""
    recent_events: Setting[Path | None, str | PathLike[str] | None] = setting(None, parsers.parse_path)
    """An SQLite file. The newest events, as they are exported, are kept in it, for Datasette's page `/-/heliograph` (in
    Datasette only)."""
    actor: Setting[tuple[str, ...], Iterable[str]] = setting(("*", "-email"), parsers.parse_actor_keys)
    """The actor's keys that are exported: `*` for all, `name` adds a key, `-name` removes it, `name:hash` or `name:mask` protects its
    value. Empty: none."""
    context: Setting[tuple[str, ...], Iterable[str]] = setting((), parsers.parse_context)
    """The attributes of the current HTTP request that events have: any of `client.address`, `http.request.method`,
    `http.route`, `url.path`, `user_agent.original`. Most of them are personal data."""
    privacy_default: Setting[Privacy, Privacy | Literal["plain", "mask", "hash", "drop"]] = setting(
        Privacy.PLAIN, parsers.parser_of(Privacy)
    )
    """The privacy of a field that declares none: `plain`, `mask`, `hash`, or `drop` (deny by default)."""
    privacy_key: str | None = setting(None, parsers.parse_text, secret=True)
    """The key for hashing: with the same key, the same value has the same hash. Without a key, values to be hashed are dropped,
    with a warning."""
    opt_in: Setting[tuple[str, ...], Iterable[str]] = setting((), parsers.parse_opt_in)
    """The names of the attributes with the requirement level `opt_in` that are exported; `*` for all of them."""
    opt_out: Setting[tuple[str, ...], Iterable[str]] = setting((), parsers.parse_opt_out)
    """The names of attributes that are not exported, such as `datasette.delete_row.pks`, with all attributes below them."""
    outbox: Setting[Path | None, str | PathLike[str] | None] = setting(None, parsers.parse_path)
    """A directory. Log records and spans are written to it before they are sent, and stay there until a server accepts them."""
    outbox_sync: Setting[OutboxSync, OutboxSync | Literal["normal", "full"]] = setting(
        OutboxSync.NORMAL, parsers.parser_of(OutboxSync)
    )
    """The failures that a record in the outbox survives: `normal` (the process dies) or `full` (the power fails, too)."""
    outbox_write: Setting[OutboxWrite, OutboxWrite | Literal["auto", "map", "pwrite"]] = setting(
        OutboxWrite.AUTO, parsers.parser_of(OutboxWrite)
    )
    """The way in which the outbox writes its files: `map` (a memory map), `pwrite` (system calls: slower, and safe on every
    file system), or `auto` (`map` on ext3, ext4, xfs and tmpfs, `pwrite` elsewhere)."""
    outbox_max_bytes: int = setting(2**30, parsers.parse_outbox_bytes)
    """The maximum size of the outbox, in bytes."""
    outbox_full: Setting[OutboxFullPolicy, OutboxFullPolicy | Literal["reject", "drop_oldest"]] = setting(
        OutboxFullPolicy.REJECT, parsers.parser_of(OutboxFullPolicy)
    )
    """The treatment of records when the outbox has reached its maximum size: `reject` (new records are rejected and counted) or
    `drop_oldest` (the oldest records are deleted and counted)."""
    outbox_allow_plaintext: bool = setting(False, parsers.parse_flag)
    """`true` allows the outbox to send OTLP headers, which may contain credentials, over plain HTTP to another machine."""
    secret: Setting[tuple[str, ...], Iterable[str]] = setting(
        (), parsers.parse_list, in_datasette="the option `--secret`", secret=True
    )
    """The key that signs tokens. To rotate it, set several keys, separated by commas, the newest first. Without a key, one is
    generated, with a warning, and tokens become invalid when the process ends."""
    signature_digest: Setting[tuple[str, ...], Iterable[str]] = setting(
        ("sha1",), parsers.parse_digests, in_datasette="SHA-1, which Datasette always uses"
    )
    """The hash function of signatures, and so of signed tokens: `sha1`, with which Datasette accepts them, or `sha256` or
    `sha512`. To change it, set several, separated by commas: the first one signs, and all are accepted."""
    allow_signed_tokens: bool = setting(True, parsers.parse_flag, in_datasette="the setting `allow_signed_tokens`")
    """`false` switches signed tokens off: none is created, and none is accepted."""
    token_ttl: int | None = setting(None, parsers.parse_positive, in_datasette="the setting `max_signed_tokens_ttl`")
    """The longest lifetime of a signed token, in seconds."""
    token_handlers: Setting[tuple[str, ...], Iterable[str]] = setting((SIGNED,), parsers.parse_token_handlers)
    """The built-in token handlers: `signed`, `database`, or both, separated by a comma. The first one is the default for new
    tokens. (In Datasette, `signed` is always there.)"""
    token_database: Setting[Path | None, str | PathLike[str] | None] = setting(None, parsers.parse_path)
    """The SQLite file of the tokens of the handler `database`. Without it, they are in the internal database, which then has to
    be a file. `:memory:` is for tests."""
    token_cache_seconds: int = setting(5, parsers.parse_cache_seconds)
    """The seconds for which a valid token of a database is not looked up again, from 0 to 60. A revocation by another process
    has an effect after this time at most."""
    token_rejections_per_minute: int = setting(60, parsers.parse_count)
    """The number of events `heliograph.token_rejected` in a minute, for each reason, in each process; `0` makes none.
    Rejections beyond it are counted."""
    flush_timeout_millis: int = setting(5000, parsers.parse_positive)
    """The longest time that `flush` and `shutdown` take, in milliseconds, also when the backend is down."""
    plugin_config: Setting[Mapping[str, Mapping[str, object]], Mapping[str, Mapping[str, object]] | str] = setting(
        {}, parsers.parse_plugin_config, in_datasette="the key `plugins` of its configuration", secret=True
    )
    """The configuration of plugins, as `plugin_config(name)` returns it: a JSON object with an object for each plugin."""

    def __post_init__(self) -> None:
        problems: list[str] = []
        # A default needs no parsing. `is not`, because `!=` would call a method of the value, which may be of any class.
        given = {
            name: getattr(self, name) for name, field in FIELDS.items() if getattr(self, name) is not field.default
        }
        for name, value in parse_each(FIELDS, given, lambda name: f"Settings({name}=…)", problems).items():
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
        check_also: Callable[[Mapping[str, object]], Iterable[str]] = lambda _: (),
    ) -> Settings:
        """Return the settings of the environment, then of the configuration, then the defaults.

        A variable with an empty value counts as not set, except ``HELIOGRAPH_ACTOR``. A variable with an unknown name causes a
        warning if the name is similar to that of a setting; other programs may use the same prefix, so it is not an error.

        Args:
            environ: The environment; `None` is the environment of the process.
            config: Datasette's ``plugins: heliograph:``. The environment takes precedence over it.
            check: Returns further problems, given the values that are allowed by themselves, by setting. They are reported
                together with all others.
            check_also: Returns further problems, which are only reported together with others. If there are no others, the code that
                finds such a problem raises an error of its own for it, such as `OutboxError`.

        Raises:
            SettingsError: Values or keys are not allowed; it lists all of them.
            TypeError: `environ` is not a mapping.
        """
        environ = os.environ if environ is None else environ
        check_argument("environ", environ, Mapping, "a mapping of variables, such as os.environ")
        values, problems = read_settings(environ, config)
        problems += check(values)
        if problems:
            raise SettingsError([*problems, *check_also(values)])
        return cls(**values)  # type: ignore[arg-type]


FIELDS: Final = {field.name: field for field in dataclasses.fields(Settings)}
"""The fields of `Settings`, by name, in order."""


def read_settings(
    environ: Mapping[str, str], config: Mapping[str, object] | None = None
) -> tuple[dict[str, object], list[str]]:
    """Return the values that are set and allowed, by setting, and the problems of the others.

    Args:
        environ: The environment.
        config: Datasette's ``plugins: heliograph:``. The environment takes precedence over it.
    """
    given = given_in(environ)
    problems: list[str] = []
    warn_of_unknown_variables(FIELDS, given)
    # A key without a value in YAML is `None`.
    is_mapping = not config or isinstance(config, Mapping)
    if not is_mapping:
        problems.append("plugins.heliograph: it must be a mapping of settings to their values")
    config = config if is_mapping and config else {}
    wrong_keys = {key: problem for key in config if (problem := problem_of_key(FIELDS, key))}
    problems += wrong_keys.values()
    values = parse_each(FIELDS, {k: v for k, v in given.items() if k in FIELDS}, variable_name, problems)
    rest = {k: v for k, v in config.items() if k not in wrong_keys and k not in given}
    values |= parse_each(FIELDS, rest, lambda name: f"plugins.heliograph.{name}", problems)
    return values, problems


def settings_or_environment(
    settings: object,
    check: Callable[[Mapping[str, object]], Iterable[str]],
    check_also: Callable[[Mapping[str, object]], Iterable[str]] = lambda _: (),
) -> Settings:
    """Return the settings that a program passed, or those of the environment if it passed none.

    Args:
        settings: The argument of the program.
        check: See `Settings.from_env`.
        check_also: See `Settings.from_env`.

    Raises:
        SettingsError: The environment has invalid settings.
        TypeError: The argument is neither `Settings` nor `None`.
    """
    if settings is None:
        return Settings.from_env(check=check, check_also=check_also)
    if isinstance(settings, Settings):
        return settings
    wanted = "settings must be an object of Settings"
    if settings is Settings:
        raise TypeError(f"{wanted}, not the class; write Settings()")
    if isinstance(settings, Mapping):
        # The message does not quote the mapping, whose values may be secrets.
        raise TypeError(f"{wanted}, not a mapping; write Settings(signals='log')")
    raise TypeError(
        f"{wanted}, not of {qualified_name(settings)}; pass plugins as plugins=[…], and event classes as events=[…]"
    )
