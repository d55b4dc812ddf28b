"""The plugins of a host, and the calling of their hooks."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import entry_points
from typing import Final, TypeAlias, cast

import pluggy

from heliograph.errors import PluginError
from heliograph.hooks import specs as hookspecs

ENTRY_POINT_GROUP: Final = "heliograph"
HOOK_MARK: Final = f"{hookspecs.PROJECT_NAME}_impl"  # what pluggy's marker leaves on a function

HookCall: TypeAlias = "Callable[..., list[object]]"


class Plugins:
    """A plugin manager of pluggy with the hooks of `heliograph.hooks.specs`."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._manager.add_hookspecs(hookspecs)
        self._calls_by_plugin: dict[str, list[tuple[str, HookCall]]] = {}

    def register(self, plugin: object) -> None:
        """Add a plugin: a module, or an object, with hook functions.

        Raises:
            PluginError: It has no hook function, or one with an argument that the hook does not have; it is there
                already; it is a class whose functions need an instance.
        """
        if not any(hasattr(getattr(plugin, name, None), HOOK_MARK) for name in dir(plugin)):
            raise PluginError(f"the plugin {plugin!r} has no function that is marked with @hookimpl")
        if isinstance(plugin, type) and any(map(_needs_instance, vars(plugin).values())):
            raise PluginError(f"the plugin {plugin!r} is a class; give an instance of it")
        try:
            hash(plugin)  # pluggy keeps plugins in sets
            self._manager.register(plugin)
        except (TypeError, ValueError, pluggy.PluginValidationError) as error:
            raise PluginError(f"the plugin {plugin!r} cannot be registered: {error}") from error
        self._calls_by_plugin.clear()

    def unregister(self, plugin: object) -> None:
        """Take a plugin away again."""
        self._manager.unregister(plugin)
        self._calls_by_plugin.clear()

    def load_entry_points(self) -> None:
        """Add the plugins that installed distributions name in the entry points of the group ``heliograph``.

        Raises:
            PluginError: One of them cannot be imported or registered.
        """
        for entry_point in entry_points(group=ENTRY_POINT_GROUP):
            try:
                self._manager.load_setuptools_entrypoints(ENTRY_POINT_GROUP, entry_point.name)
            except Exception as error:
                raise PluginError(
                    f"the plugin {entry_point.name!r} ({entry_point.value}) cannot be loaded: {error!r}; "
                    "mend it, or uninstall the distribution that brings it"
                ) from error
        self._calls_by_plugin.clear()

    def __iter__(self) -> Iterator[object]:
        return iter(self._manager.get_plugins())

    def call(self, hook: str, **arguments: object) -> list[object]:
        """The results of a hook, in pluggy's call order: last registered, first called."""
        return cast("list[object]", getattr(self._manager.hook, hook)(**arguments))

    def call_plugin(self, plugin: object, hook: str, **arguments: object) -> list[object]:
        """The results of a hook of one plugin alone."""
        return self._only(plugin, hook)(**arguments)

    def calls_by_plugin(self, hook: str) -> list[tuple[str, HookCall]]:
        """One call for each plugin that has the hook, in call order, with the plugin's name.

        pluggy's own call ends with the first implementation that raises; called apart, those after it still run.
        Wrappers of the hook wrap each of the calls.
        """
        calls = self._calls_by_plugin.get(hook)
        if calls is None:
            calls = self._calls_by_plugin[hook] = [
                (name, self._only(plugin, hook)) for name, plugin in self._implementers(hook).items()
            ]
        return calls

    def _implementers(self, hook: str) -> dict[str, object]:
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return {each.plugin_name: each.plugin for each in reversed(implementations) if not _wraps(each)}

    def _only(self, plugin: object, hook: str) -> HookCall:
        others = [other for other in self._implementers(hook).values() if other is not plugin]
        return cast("HookCall", self._manager.subset_hook_caller(hook, others))


def _needs_instance(attribute: object) -> bool:
    return inspect.isfunction(attribute) and hasattr(attribute, HOOK_MARK)


def _wraps(implementation: pluggy.HookImpl) -> bool:
    return implementation.wrapper or implementation.hookwrapper


async def resolve_result(result: object) -> object:
    """A hook's result: awaited if it is an async function or a coroutine, as Datasette does; a class stays a class."""
    value = result() if callable(result) and not isinstance(result, type) else result
    return await cast("Awaitable[object]", value) if inspect.isawaitable(value) else value


def flatten_results(results: list[object]) -> Iterator[object]:
    """The results of a hook that gives one thing, a list of them, or nothing."""
    return itertools.chain.from_iterable(
        result if isinstance(result, (list, tuple)) else () if result is None else (result,) for result in results
    )
