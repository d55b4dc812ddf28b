"""Start the installed Datasette as ``datasette serve`` does, and read the event classes and heliograph's configuration from it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from heliograph.integrations.datasette.supported_version import is_supported, version_problem
from heliograph.settings import FIELDS, variable_name
from heliograph.settings.parsers import parse_path
from heliograph.telemetry.missing_providers import CONFIG_FILE
from heliograph.tokens.stored import location

if TYPE_CHECKING:
    from datasette.app import Datasette

PATH_SETTINGS: Final = tuple(name for name, field in FIELDS.items() if field.metadata["parse"] is parse_path)
"""The settings of heliograph whose value is a path."""

_TOKEN_DATABASE: Final = variable_name("token_database")

_OTHER_PATHS: Final = re.compile(
    rf"OTEL_EXPORTER_OTLP_(\w+_)?(CERTIFICATE|CLIENT_KEY)|{CONFIG_FILE}|SSL_CERT_FILE|(REQUESTS|CURL)_CA_BUNDLE"
)
"""The variables of others whose value is the path of a file or folder that telemetry uses."""


@dataclass(frozen=True, kw_only=True)
class DatasetteOptions:
    """The options of ``datasette serve`` that decide which events are served, and under which names.

    Attributes:
        plugins_dir: The folder with further plugins, or `None`.
        configs: The configuration files. They are merged, and a later one wins.
    """

    plugins_dir: Path | None = None
    configs: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StartedDatasette:
    """The content of a Datasette after its startup.

    Attributes:
        event_classes: The registered event classes.
        config: The configuration of heliograph's plugin, or `None`.
    """

    event_classes: tuple[type, ...]
    config: Mapping[str, object] | None


async def start_datasette(options: DatasetteOptions) -> StartedDatasette:
    """Start a Datasette with all plugins, read it, and shut it down.

    Every plugin is loaded and started, because any of them may register events. At startup, some also write files to the
    current folder (datasette-otel-viewer: otel.db). So a temporary folder is the current one meanwhile. Datasette is shut down,
    which closes the files of plugins, before the folder is deleted.

    Raises:
        click.UsageError: Datasette is not installed, a file cannot be read, or Datasette or a plugin fails at startup.
    """
    try:
        from datasette.app import Datasette  # an optional dependency
        from datasette.version import __version__ as version
    except ImportError as error:
        raise click.UsageError("datasette: Datasette is not installed here; install heliograph[datasette]") from error
    if not is_supported(version):
        raise click.UsageError(f"datasette: {version_problem(version)}")
    plugins_dir = None if options.plugins_dir is None else str(options.plugins_dir.absolute())
    config = merged_config(options.configs) if options.configs else None
    with _temporary_working_directory():
        try:
            return await _start_and_shut_down(Datasette(memory=True, plugins_dir=plugins_dir, config=config))
        except Exception as error:
            # Plugins run here, and may raise anything.
            raise click.UsageError(f"datasette: it cannot start: {error}") from error


async def _start_and_shut_down(instance: Datasette) -> StartedDatasette:
    try:
        await instance.invoke_startup()
        started = StartedDatasette(
            event_classes=tuple(instance.event_classes), config=instance.plugin_config("heliograph")
        )
    except BaseException:
        # The first error is the one to report: a plugin that has not started may also fail to shut down.
        with suppress(Exception):
            await instance.invoke_shutdown()
        raise
    await instance.invoke_shutdown()
    return started


def merged_config(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the configurations of Datasette in some files as one. Mappings are merged, and a later file wins.

    Raises:
        click.UsageError: A file cannot be used, see `read_config`.
    """
    config: dict[str, Any] = {}
    for path in paths:
        merge(config, read_config(path))
    return config


def merge(config: dict[str, Any], later: Mapping[str, Any]) -> None:
    """Merge a later configuration into an earlier one. Where both have a value, the later one wins."""
    for key, value in later.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        else:
            config[key] = value


def read_config(path: Path) -> dict[str, Any]:
    """Return a configuration of Datasette, with absolute paths: Datasette may be started in another folder.

    Raises:
        click.UsageError: The file cannot be read, or is not a mapping in JSON or YAML, or Datasette is not installed.
    """
    try:
        from datasette.utils import BadMetadataError, parse_metadata  # an optional dependency
    except ImportError as error:
        raise click.UsageError("Datasette is not installed here, so its configuration cannot be read") from error
    try:
        config = parse_metadata(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeError, RecursionError, BadMetadataError) as error:
        raise click.UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise click.UsageError(f"{path} is not a configuration of Datasette: it must be a mapping")
    config = {key: _with_absolute_files(value) for key, value in config.items()}
    plugins = config.get("plugins")
    ours = plugins.get("heliograph") if isinstance(plugins, dict) else None
    if isinstance(ours, dict):
        for setting in PATH_SETTINGS:
            # An empty path is reported when heliograph reads its configuration.
            if isinstance(ours.get(setting), str) and ours[setting]:
                ours[setting] = _absolute(ours[setting])
    return config


def _absolute(path: str) -> str:
    """Return the absolute path. A database in memory has none, and the path of a home directory that does not exist is reported later."""
    if path == location.MEMORY:
        return path
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError:
        return path


def _with_absolute_files(value: Any) -> Any:
    """Return a copy in which the path of each ``{"$file": path}``, whose content Datasette reads, is absolute."""
    if isinstance(value, list):
        return [_with_absolute_files(each) for each in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["$file"] and isinstance(value["$file"], str):
        return {"$file": str(Path(value["$file"]).absolute())}
    return {key: _with_absolute_files(each) for key, each in value.items()}


@contextmanager
def _temporary_working_directory() -> Iterator[None]:
    """Make a temporary folder the current one, and delete it afterwards. It is the current one for all threads.

    Meanwhile, paths in the environment are absolute. Otherwise the providers that heliograph's plugin sets up here would use an
    outbox in the temporary folder, and `quarantine replay` exports through the same providers later. The database of tokens is in
    memory: no token is used here, and Datasette's internal database, where they may be, is a temporary one.
    """
    before = Path.cwd()
    ours = set(map(variable_name, PATH_SETTINGS))
    is_path = {name for name in os.environ if name in ours or _OTHER_PATHS.fullmatch(name)}
    paths = {name: os.environ[name] for name in is_path if os.environ[name]}
    with tempfile.TemporaryDirectory(prefix="heliograph-", ignore_cleanup_errors=True) as directory:
        token_database = os.environ.get(_TOKEN_DATABASE)
        os.environ.update((name, _absolute(value)) for name, value in paths.items())
        os.environ[_TOKEN_DATABASE] = location.MEMORY
        os.chdir(directory)
        try:
            yield
        finally:
            os.chdir(before)
            os.environ.update(paths)
            if token_database is None:
                del os.environ[_TOKEN_DATABASE]
            else:
                os.environ[_TOKEN_DATABASE] = token_database
