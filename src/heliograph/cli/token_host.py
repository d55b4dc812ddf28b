"""The host whose tokens a command of ``heliograph token`` works on: it uses the file, and the environment's telemetry.

The tables are the same in a Datasette's file and in a `Host`'s, so a `Host` opens both.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from heliograph.ambient_actor import acting_as
from heliograph.cli.datasette_source import read_config
from heliograph.cli.terminal import echo
from heliograph.errors import (
    HeliographError,
    PluginError,
    SchemaError,
    TokenExpired,
    TokenNotFound,
    TokenRevoked,
)
from heliograph.host import Host
from heliograph.settings import DATABASE, Settings, resolve_references
from heliograph.telemetry.missing_providers import variable_that_asks_for_export
from heliograph.telemetry.otel_api import NoOpLoggerProvider
from heliograph.tokens.stored import location

FLUSH_MILLIS: Final = 1500
"""The longest time for which a command waits until its telemetry is delivered: it ends within two seconds."""


@dataclass(frozen=True, kw_only=True)
class TokenFile:
    """The options that name the file of the tokens, and the configuration of the Datasette that uses it.

    Attributes:
        database: The file; `None` means the one of the settings.
        config: The configuration file of the Datasette that uses the tokens, or `None`.
    """

    database: Path | None
    config: Path | None


@contextmanager
def open_host(
    file: TokenFile, *, may_create: bool = False, only_reads: bool = False, by: str | None = None
) -> Iterator[Host]:
    """Yield a host with the tokens of a file, and deliver its telemetry afterwards.

    Problems end the command: with status 1 if there is no such token or it is not valid any more, with status 2 if the file, a
    setting or an argument cannot be used.

    Args:
        file: The file of the tokens.
        may_create: True creates the file or its tables if they do not exist.
        only_reads: True if the command only reads. No provider is set up then, because reading emits no telemetry.
        by: The id of the actor who runs the command, or `None`.
    """
    actor = nullcontext() if by is None else acting_as({"id": by})
    with _problems_end_the_command():
        settings = _settings(file, may_create=may_create)
        with _host(settings, only_reads=only_reads) as host, actor:
            yield host


def _settings(file: TokenFile, *, may_create: bool) -> Settings:
    settings = Settings.from_env() if file.config is None else _settings_of_datasette(read_config(file.config))
    path = file.database or settings.token_database
    if path is None:
        raise click.UsageError("name the file of the tokens by --database FILE, or set HELIOGRAPH_TOKEN_DATABASE")
    handlers = settings.token_handlers
    changed = replace(
        settings,
        token_database=path,
        token_handlers=handlers if DATABASE in handlers else (*handlers, DATABASE),
        flush_timeout_millis=min(settings.flush_timeout_millis, FLUSH_MILLIS),
    )
    problem = location.token_file_problem(Path(str(changed.token_database)), may_create=may_create)
    if problem is not None:
        raise click.UsageError(problem)
    return changed


def _settings_of_datasette(config: Mapping[str, object]) -> Settings:
    """Return the settings that a Datasette with this configuration has."""
    plugins = config.get("plugins")
    ours: Any = resolve_references(plugins.get("heliograph")) if isinstance(plugins, Mapping) else None
    settings, core = Settings.from_env(config=ours), config.get("settings")
    if not isinstance(core, Mapping):
        return settings
    longest = core.get("max_signed_tokens_ttl", settings.token_ttl or 0)
    if type(longest) is not int or longest < 0:
        raise click.UsageError("max_signed_tokens_ttl in the configuration of Datasette is not a number of seconds")
    is_allowed = core.get("allow_signed_tokens", settings.allow_signed_tokens)
    return replace(settings, token_ttl=longest or None, allow_signed_tokens=bool(is_allowed))


def _host(settings: Settings, *, only_reads: bool) -> Host:
    # Without an endpoint, `configure` would export to the default one, a server on this machine that probably does not exist.
    exports = settings.outbox is not None or variable_that_asks_for_export(os.environ) is not None
    if only_reads or not exports:
        return Host(
            settings,
            tracer_provider=NoOpTracerProvider(),
            logger_provider=NoOpLoggerProvider(),
            meter_provider=NoOpMeterProvider(),
        )
    # Imported here, because the SDK takes a while to import.
    from heliograph.sdk.configure import configure

    return configure(settings)


@contextmanager
def _problems_end_the_command() -> Iterator[None]:
    try:
        yield
    except (TokenNotFound, TokenRevoked, TokenExpired) as error:
        echo(f"Error: {error}", err=True)
        raise SystemExit(1) from None
    except (PluginError, SchemaError) as error:
        raise click.UsageError(str(error)) from error
    except (BrokenPipeError, HeliographError):
        # click and `heliograph.cli.main` report these, and end the command.
        raise
    except (OSError, sqlite3.Error) as error:
        raise click.UsageError(f"the tokens cannot be read, changed or printed: {error}") from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
