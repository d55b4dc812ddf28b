"""Where event classes come from, on a command line: ``module:Class``, ``module:plugin``, or ``datasette``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import click

from heliograph.errors import HeliographError, SchemaError
from heliograph.hooks.plugins import Plugins, flatten_results, resolve_result
from heliograph.host import Host
from heliograph.schema.registry import SchemaRegistry
from heliograph.settings import Settings

DATASETTE: Final = "datasette"

sources_argument = click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
"""The argument of the commands that work on event classes."""


def load_registry(sources: Iterable[str], settings: Settings | None = None) -> SchemaRegistry:
    """The schemas of the event classes that the sources name.

    Args:
        sources: Each ``module:Class`` (an event class), ``module:plugin`` (a module or an object with a
            `register_events` hook) or ``datasette`` (all that is registered in an installed Datasette with its plugins).
        settings: The namespace and the privacy; `None` reads the environment.

    Raises:
        click.UsageError: A source cannot be loaded; names it.
        click.ClickException: No schema can be made of a class; names it.
    """
    registry = SchemaRegistry.from_settings(Settings.from_env() if settings is None else settings)
    for source in sources:
        for event_class in _classes(source):
            try:
                registry.register(event_class)
            except SchemaError as error:
                if source != DATASETTE:
                    raise click.ClickException(f"{source}: {error}") from error
                click.echo(f"{source}: {error}. It goes out untyped, and is left out here.", err=True)
    return registry


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
    """What ``module`` or ``module:name`` names; modules are also looked for in the current folder.

    Raises:
        click.UsageError: There is nothing of that name.
    """
    module_name, colon, path = source.partition(":")
    if not module_name or (colon and not path):
        raise click.UsageError(f"{source!r} is no source: write module:Class, module:plugin, or datasette")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        target: object = importlib.import_module(module_name)
    except Exception as error:  # a module may do anything when it is imported
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
        raise click.UsageError(f"{target!r} is no event class, and registers no events")
    return classes


async def _classes_of_datasette() -> list[type]:
    try:
        from datasette.app import Datasette  # it need not be installed
    except ImportError as error:
        raise click.UsageError("datasette: Datasette is not installed here; install heliograph[datasette]") from error
    instance = Datasette(memory=True)
    await instance.invoke_startup()
    return list(instance.event_classes)
