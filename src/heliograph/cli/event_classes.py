"""The event classes that a command works on.

Each SOURCE is a module, ``module:Class``, ``module:plugin`` or ``datasette``.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import anyio
import click

from heliograph.cli.datasette_source import DatasetteOptions, start_datasette
from heliograph.cli.terminal import echo_lines
from heliograph.errors import HeliographError, SchemaError
from heliograph.hooks.plugins import Plugins, items_of, resolve_result
from heliograph.host import Host
from heliograph.schema.registry import SchemaRegistry
from heliograph.settings import Settings

DATASETTE: Final = "datasette"
EXAMPLE_KEY: Final = "example"
"""The key of the hashes in examples. The real key is not used, because a published hash of a known text lets anybody test guesses of it."""


def sources_argument(command: Callable[..., object]) -> Callable[..., object]:
    """Add the argument SOURCE, and the options of Datasette, to a command. It receives them as `sources` and `datasette`."""

    @click.argument("sources", metavar="SOURCE…", nargs=-1, required=True)
    @click.option(
        "--plugins-dir",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="For the source `datasette`: the folder with its further plugins.",
    )
    @click.option(
        "-c",
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="For the source `datasette`: its configuration file, with the settings in `plugins: heliograph:`.",
    )
    @functools.wraps(command)
    def with_sources(
        *, sources: tuple[str, ...], plugins_dir: Path | None, config: Path | None, **others: Any
    ) -> object:
        if DATASETTE not in sources and (plugins_dir or config):
            raise click.UsageError("--plugins-dir and --config are options of the source `datasette`, which is missing")
        options = DatasetteOptions(plugins_dir=plugins_dir, configs=(config,) if config else ())
        return command(sources=sources, datasette=options, **others)

    return with_sources


@dataclass(frozen=True, kw_only=True)
class LoadedSources:
    """The event classes of sources.

    Attributes:
        classes: The classes, each with the source that it comes from.
        config: The configuration of heliograph's plugin in Datasette, or `None`.
        problems: The reason for each source that could not be loaded.
    """

    classes: tuple[tuple[str, type], ...]
    config: Mapping[str, object] | None
    problems: tuple[str, ...]

    def settings(self) -> Settings:
        """Return the settings of the environment, then of Datasette's configuration.

        Raises:
            SettingsError: Settings are invalid; it lists every problem.
        """
        return Settings.from_env(config=self.config)

    def check(self) -> None:
        """Raise an error if a source could not be loaded. `register_in` raises it together with the problems of the classes.

        Raises:
            click.UsageError: A source could not be loaded; the message has every problem.
        """
        if self.problems:
            raise click.UsageError("\n".join(self.problems))

    def register_in(self, registry: SchemaRegistry) -> None:
        """Register the classes, each with the namespace that it has in the program that emits its events.

        A class of the source ``datasette`` that has no schema is reported and skipped, because it may belong to another plugin.

        Raises:
            click.UsageError: A source could not be loaded.
            click.ClickException: A class cannot be compiled to a schema. In both cases the message has every problem.
        """
        problems = list(self.problems)
        for source, event_class in self.classes:
            try:
                registry.register(event_class, namespace=_namespace_of(event_class, source))
            except SchemaError as error:
                if source != DATASETTE:
                    problems.append(f"{source}: {error}")
                    continue
                skipped = "Its events are exported without a schema; it is skipped here."
                echo_lines(f"{source}: {error}. {skipped}", err=True)
        if problems:
            kind = click.UsageError if self.problems else click.ClickException
            raise kind("\n".join(problems))


def load_registry(
    sources: Iterable[str],
    settings: Settings | None = None,
    *,
    datasette: DatasetteOptions | None = None,
    privacy_key: str | None = None,
) -> SchemaRegistry:
    """Return the schemas of the event classes that the sources name.

    Args:
        sources: See `load_sources`.
        settings: The settings for namespace and privacy; `None` reads them from the environment and from Datasette's
            configuration.
        datasette: The options of Datasette.
        privacy_key: The key for hashes, instead of the one of the settings.

    Raises:
        click.UsageError: A source cannot be loaded.
        click.ClickException: A class cannot be compiled to a schema. In both cases the message has every problem.
        SettingsError: Settings are invalid; it lists every problem.
    """
    loaded = load_sources(sources, datasette)
    settings = loaded.settings() if settings is None else settings
    if privacy_key is not None:
        settings = dataclasses.replace(settings, privacy_key=privacy_key)
    registry = SchemaRegistry.from_settings(settings)
    loaded.register_in(registry)
    return registry


def load_sources(sources: Iterable[str], datasette: DatasetteOptions | None = None) -> LoadedSources:
    """Load the event classes that the sources name, and the configuration of Datasette.

    Args:
        sources: Each is ``module`` (a module with a `register_events` hook, otherwise all event classes that are defined in it),
            ``module:Class`` (an event class), ``module:plugin`` (an object with a `register_events` hook) or ``datasette``
            (all classes registered in the installed Datasette and its plugins).
        datasette: The options of Datasette.
    """
    classes: list[tuple[str, type]] = []
    config = None
    problems = []
    for source in dict.fromkeys(sources):
        try:
            if source == DATASETTE:
                started = anyio.run(start_datasette, datasette or DatasetteOptions())
                found, config = started.event_classes, started.config
            else:
                found = _classes(source)
        except click.UsageError as error:
            problems.append(error.message)
        else:
            classes += ((source, each) for each in found)
    return LoadedSources(classes=tuple(classes), config=config, problems=tuple(problems))


def _namespace_of(event_class: type, source: str) -> str | None:
    """Return the namespace that heliograph's plugin gives a class in Datasette. `None` means the one of the settings."""
    if source != DATASETTE:
        return None
    from heliograph.integrations.datasette.distributions import namespace_of  # needs Datasette, an optional dependency

    return namespace_of(event_class, "") or None


def _classes(source: str) -> tuple[type, ...]:
    target = load_object(source)
    if _is_event_class(target):
        return (target,)
    if inspect.ismodule(target) and not hasattr(target, "register_events"):
        return _classes_in(target, source)
    try:
        return anyio.run(_classes_of_plugin, target)
    except (HeliographError, TypeError) as error:
        raise click.UsageError(f"{source}: {error}") from error


def load_object(source: str) -> Any:
    """Import a module, and return it (``module``) or an object in it (``module:name``). The current folder is searched, too.

    Raises:
        click.UsageError: The module cannot be imported, or has no such name.
    """
    module_name, colon, path = source.partition(":")
    if not module_name or (colon and not path):
        raise click.UsageError(f"{source!r} is not a source; write module, module:Class, module:plugin, or datasette")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        target: object = importlib.import_module(module_name)
    except Exception as error:
        # Importing a module runs its code, which may raise anything.
        raise click.UsageError(f"{source}: the module {module_name!r} cannot be imported: {error}") from error
    for name in filter(None, path.split(".")):
        if not hasattr(target, name):
            raise click.UsageError(f"{source}: {module_name!r} has no {path!r}")
        target = getattr(target, name)
    return target


def _is_event_class(value: object) -> bool:
    """Return True for a class with a name and properties: one that is built on heliograph's `Event` or on Datasette's."""
    return isinstance(value, type) and isinstance(getattr(value, "name", None), str) and hasattr(value, "properties")


def _classes_in(module: ModuleType, source: str) -> tuple[type, ...]:
    """Return the event classes in a module that it or, for a package, one of its modules defines, in the order of its names.

    Raises:
        click.UsageError: There are none.
    """
    own = f"{module.__name__}."
    found = [each for each in vars(module).values() if _is_event_class(each) and f"{each.__module__}.".startswith(own)]
    if not found:
        raise click.UsageError(f"{source}: the module has neither event classes nor a `register_events` hook")
    return tuple(found)


async def _classes_of_plugin(target: object) -> tuple[type, ...]:
    plugin = target() if inspect.isclass(target) else target
    plugins = Plugins()
    plugins.register(plugin)
    results = plugins.call("register_events", datasette=Host(Settings()))
    found = [item for result in results for item in items_of(await resolve_result(result))]
    classes = tuple(each for each in found if isinstance(each, type))
    if not classes:
        raise click.UsageError(f"{target!r} is not an event class and registers no events")
    return classes
