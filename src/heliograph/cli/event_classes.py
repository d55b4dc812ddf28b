"""The event classes that a command works on. Each SOURCE is ``module:Class``, ``module:plugin`` or ``datasette``."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import click

from heliograph.errors import HeliographError, SchemaError
from heliograph.hooks.plugins import Plugins, flatten_results, resolve_result
from heliograph.host import Host
from heliograph.integrations.datasette.supported_version import is_supported, problem_of
from heliograph.schema.registry import SchemaRegistry
from heliograph.settings import Settings

DATASETTE: Final = "datasette"

_PATH_VARIABLES: Final = re.compile(
    r"HELIOGRAPH_(OUTBOX|QUARANTINE)|OTEL_EXPORTER_OTLP_(\w+_)?(CERTIFICATE|CLIENT_KEY)|SSL_CERT_FILE|REQUESTS_CA_BUNDLE"
)
"""The environment variables with a path that telemetry uses."""

sources_argument = click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
"""The argument of the commands that work on event classes."""


def load_registry(sources: Iterable[str], settings: Settings | None = None) -> SchemaRegistry:
    """Return the schemas of the event classes that the sources name.

    Args:
        sources: Each is ``module:Class`` (an event class), ``module:plugin`` (a module or an object with a
            `register_events` hook) or ``datasette`` (all classes registered in the installed Datasette and its plugins).
        settings: The settings for namespace and privacy; `None` reads them from the environment.

    Raises:
        click.UsageError: A source cannot be loaded. The message names it.
        click.ClickException: A class cannot be compiled to a schema. The message names it.
    """
    registry = SchemaRegistry.from_settings(Settings.from_env() if settings is None else settings)
    for source in sources:
        for event_class in _classes(source):
            try:
                registry.register(event_class, namespace=_namespace_of(event_class, source))
            except SchemaError as error:
                if source != DATASETTE:
                    raise click.ClickException(f"{source}: {error}") from error
                click.echo(
                    f"{source}: {error}. Its events are exported without a schema; it is skipped here.", err=True
                )
    return registry


def _namespace_of(event_class: type, source: str) -> str | None:
    """Return the namespace that heliograph's plugin gives a class in Datasette; `None` is the setting."""
    if source != DATASETTE:
        return None
    from heliograph.integrations.datasette.distributions import namespace_of  # needs Datasette, an optional dependency

    return namespace_of(event_class, "") or None


def _classes(source: str) -> list[type]:
    if source == DATASETTE:
        return anyio.run(_classes_of_datasette)
    target = load_object(source)
    if isinstance(target, type) and hasattr(target, "name"):
        return [target]
    try:
        return anyio.run(partial(_classes_of_plugin, target))
    except (HeliographError, TypeError) as error:
        raise click.UsageError(f"{source}: {error}") from error


def load_object(source: str) -> object:
    """Import a module, and return it (``module``) or an object in it (``module:name``). The current folder is searched, too.

    Raises:
        click.UsageError: The module cannot be imported, or has no such name.
    """
    module_name, colon, path = source.partition(":")
    if not module_name or (colon and not path):
        raise click.UsageError(f"{source!r} is not a source; write module:Class, module:plugin, or datasette")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        target: object = importlib.import_module(module_name)
    except Exception as error:  # importing a module runs its code, which may raise anything
        raise click.UsageError(f"{source}: the module {module_name!r} cannot be imported: {error}") from error
    for name in filter(None, path.split(".")):
        if not hasattr(target, name):
            raise click.UsageError(f"{source}: {module_name!r} has no {path!r}")
        target = getattr(target, name)
    return target


async def _classes_of_plugin(target: object) -> list[type]:
    plugin = target() if inspect.isclass(target) else target
    plugins = Plugins()
    plugins.register(plugin)
    results = plugins.call("register_events", datasette=Host(Settings()))
    classes = [
        each for each in flatten_results([await resolve_result(result) for result in results]) if isinstance(each, type)
    ]
    if not classes:
        raise click.UsageError(f"{target!r} is not an event class and registers no events")
    return classes


async def _classes_of_datasette() -> list[type]:
    try:
        from datasette.app import Datasette  # an optional dependency
        from datasette.version import __version__ as version
    except ImportError as error:
        raise click.UsageError("datasette: Datasette is not installed here; install heliograph[datasette]") from error
    if not is_supported(version):
        raise click.UsageError(f"datasette: {problem_of(version)}")
    # Every plugin is loaded and started, because any of them may register events. At startup, some also write files to the
    # current folder (datasette-otel-viewer: otel.db). They get a temporary folder for that, and a shutdown that closes their
    # files before the folder is deleted.
    with _temporary_working_directory():
        instance = Datasette(memory=True)
        try:
            await instance.invoke_startup()
            return list(instance.event_classes)
        finally:
            await instance.invoke_shutdown()


@contextmanager
def _temporary_working_directory() -> Iterator[None]:
    """Make a temporary folder the current one, and delete it afterwards. It is the current one for all threads.

    Meanwhile, paths in the environment are absolute. Otherwise the providers that heliograph's plugin sets up here would use an
    outbox in the temporary folder, and `quarantine replay` exports through the same providers later.
    """
    before = Path.cwd()
    paths = {name: value for name, value in os.environ.items() if value and _PATH_VARIABLES.fullmatch(name)}
    with tempfile.TemporaryDirectory(prefix="heliograph-", ignore_cleanup_errors=True) as directory:
        os.environ.update((name, str(before / Path(value).expanduser())) for name, value in paths.items())
        os.chdir(directory)
        try:
            yield
        finally:
            os.chdir(before)
            os.environ.update(paths)
