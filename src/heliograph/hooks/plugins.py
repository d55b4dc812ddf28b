"""The plugins of a host, and the calls of their hooks."""

from __future__ import annotations

import inspect
import itertools
import types
from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib.metadata import entry_points
from typing import Final, TypeAlias, cast

import pluggy

from heliograph.classes import qualified_name
from heliograph.errors import PluginError
from heliograph.hooks import specs as hookspecs
from heliograph.hooks.plugin_checks import label_of, plugin_problem, warn_of_uncalled_hooks
from heliograph.runtime.program_errors import program_errors

ENTRY_POINT_GROUP: Final = "heliograph"
"""The group of the entry points by which an installed distribution adds a plugin to every host."""

FUNCTION_WITH_YIELD: Final = "the hook, or the function that it returned, contains `yield`, so it did not run; mark a hook wrapper with wrapper=True"
"""The error of a hook whose result is a generator."""

HookCall: TypeAlias = "Callable[..., list[object]]"
"""Calls a hook with keyword arguments, and returns the results that are not `None`."""


class Plugins:
    """The registered plugins: a plugin manager of pluggy with the hooks of `heliograph.hooks.specs`.

    Threads may call hooks while another thread registers a plugin: pluggy calls a copy of its list of hook functions.
    `_calls_by_plugin` is a cache without a lock: at worst, two threads compute the same entry. It is replaced, and not emptied, when plugins
    change: a thread that has begun before puts its result, which may be old, into the cache that is gone.
    """

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
        self._manager.add_hookspecs(hookspecs)
        self._calls_by_plugin: dict[str, list[tuple[str, HookCall]]] = {}

    def register(self, plugin: object) -> None:
        """Add a plugin: a module, or an object, with hook functions.

        Raises:
            PluginError: The plugin has no hook function; one of them has an argument that the hook does not have; it is
                registered already; it cannot be hashed; it is a class whose methods need an instance; or its own code fails.
        """
        self._add(plugin, None)

    def _add(self, plugin: object, name: str | None) -> None:
        """Add a plugin with a name, by default that of its module or class. It raises as `register` does."""
        problem, label = plugin_problem(plugin), label_of(plugin)
        if problem is not None:
            raise PluginError(f"the plugin {label} {problem}")
        if any(plugin is each for each in self):
            raise PluginError(f"the plugin {label} is registered already; register it once")
        name = name or self._new_name(plugin)
        try:
            hash(plugin)  # pluggy keeps plugins in sets
            self._manager.register(plugin, name)
        except program_errors() as error:
            # pluggy reads all attributes of the plugin, which may be properties.
            # Older releases of pluggy keep the hooks before the one that failed.
            self._manager.unregister(name=name)
            raise PluginError(f"the plugin {label} cannot be registered: {error}") from error
        warn_of_uncalled_hooks(plugin)
        self._calls_by_plugin = {}

    def _new_name(self, plugin: object) -> str:
        """Return the name of a module or of an object's class, with a number if another plugin has it. It is for messages."""
        # Not pluggy's own name of an object, which is a number that says nothing.
        own = vars(plugin).get("__name__") if isinstance(plugin, (types.ModuleType, type)) else None
        name = own if isinstance(own, str) else qualified_name(plugin)
        names = itertools.chain([name], (f"{name} ({number})" for number in itertools.count(2)))
        return next(each for each in names if not self._manager.has_plugin(each))

    def unregister(self, plugin: object) -> str:
        """Remove a plugin. Return its name, as in `calls_by_plugin`.

        Raises:
            PluginError: It is not registered.
        """
        if not any(plugin is each for each in self):
            raise PluginError(f"the plugin {label_of(plugin)} is not registered, so it cannot be removed")
        name = self.name_of(plugin)
        self.unregister_name(name)
        return name

    def name_of(self, plugin: object) -> str:
        """Return the name of a registered plugin, as in `calls_by_plugin`."""
        return str(self._manager.get_name(plugin))

    def unregister_name(self, name: str) -> None:
        """Remove the plugin with that name."""
        self._manager.unregister(name=name)
        self._calls_by_plugin = {}

    def load_entry_points(self) -> None:
        """Add the plugins of installed distributions: those with an entry point in the group ``heliograph``.

        Raises:
            PluginError: A plugin cannot be imported, or cannot be registered for one of the reasons of `register`.
        """
        for entry_point in entry_points(group=ENTRY_POINT_GROUP):
            # As in pluggy, of two entry points with one name the first is loaded.
            if self._manager.has_plugin(entry_point.name):
                continue
            try:
                self._add(entry_point.load(), entry_point.name)
            except Exception as error:
                reason = error if isinstance(error, PluginError) else repr(error)
                raise PluginError(
                    f"the plugin {entry_point.name!r} ({entry_point.value}) cannot be loaded: {reason}; "
                    "fix it, or uninstall the distribution that contains it"
                ) from error

    def __iter__(self) -> Iterator[object]:
        return iter(self._manager.get_plugins())

    def call(self, hook: str, **arguments: object) -> list[object]:
        """Return the results of a hook. The plugin that was registered last is called first, as in pluggy."""
        caller = getattr(self._manager.hook, hook)
        implementations = caller.get_hookimpls()
        results = []
        for each in reversed(implementations):
            # pluggy has wrappers at the end of its list, so nothing has been called yet.
            if each.wrapper or each.hookwrapper:
                return cast("list[object]", caller(**arguments))
            # What pluggy does, without its code for wrappers, which takes longer than the hook for tokens itself.
            result = each.function(*[arguments[name] for name in each.argnames])
            if result is not None:
                results.append(result)
        return results

    def calls_by_plugin(self, hook: str) -> list[tuple[str, HookCall]]:
        """Return the name of each plugin that has the hook, with a function that calls the hook of this plugin only.

        They are in call order, as in `call`. pluggy's own call ends at the first plugin that raises; with one call for each
        plugin, the others still run. Hook wrappers wrap each of the calls, and have no call of their own.
        """
        known = self._calls_by_plugin
        calls = known.get(hook)
        if calls is None:
            calls = known[hook] = [
                (name, self._caller_of(plugin, hook)) for name, plugin in self._implementers(hook).items()
            ]
        return calls

    def _implementers(self, hook: str) -> dict[str, object]:
        """Return the plugins that have the hook, without those that only wrap it, by name and in call order."""
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        return {
            each.plugin_name: each.plugin
            # pluggy calls them from the end of its list.
            for each in reversed(implementations)
            if not each.wrapper and not each.hookwrapper
        }

    def _caller_of(self, plugin: object, hook: str) -> HookCall:
        others = [other for other in self._implementers(hook).values() if other is not plugin]
        return cast("HookCall", self._manager.subset_hook_caller(hook, others))


def result_of(result: object) -> object:
    """Return the result of a hook that may have returned a function. A class is a result and is not called."""
    return result() if callable(result) and not isinstance(result, type) else result


async def resolve_result(result: object) -> object:
    """Return the result of a hook that may be async, as Datasette's `await_me_maybe` does.

    A function is called, and an awaitable result is awaited.
    """
    value = result_of(result)
    return await cast("Awaitable[object]", value) if inspect.isawaitable(value) else value


def flatten_results(results: list[object]) -> Iterator[object]:
    """Yield the single results of a hook. Each plugin returns one of them, a list or tuple of them, or `None`."""
    for result in results:
        if isinstance(result, (list, tuple)):
            yield from result
        elif result is not None:
            yield result


def items_of(result: object) -> Iterator[object]:
    """Yield the event classes that a hook `register_events` returned: any iterable of them as in Datasette, one class, or `None`."""
    if isinstance(result, Iterable) and not isinstance(result, type):
        yield from result
    elif result is not None:
        yield result


def is_generator(result: object) -> bool:
    """Return True for a generator, sync or async: nothing iterates it, so no line of the function that returned it has run."""
    return inspect.isgenerator(result) or inspect.isasyncgen(result)
