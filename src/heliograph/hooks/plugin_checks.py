"""Find mistakes in a plugin that pluggy does not report, or reports without the fix."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from heliograph.classes import qualified_name
from heliograph.hooks import specs as hookspecs
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

HOOK_MARK: Final = f"{hookspecs.PROJECT_NAME}_impl"
"""The attribute that pluggy's marker sets on a hook function."""

_ARGUMENTS: Final = {
    name: tuple(inspect.signature(spec).parameters)
    for name, spec in vars(hookspecs).items()
    if hasattr(spec, f"{hookspecs.PROJECT_NAME}_spec")
}
"""The arguments of each hook, by its name."""
_SIMILARITY: Final = 0.8
"""The similarity, from 0 to 1, from which on a name is regarded as misspelled. No other hook of Datasette is as similar to one of ours."""

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
"""The kinds of parameters that pluggy gives an argument. It ignores all others."""

logger: Final = SafeLogger(SCOPE)


def plugin_problem(plugin: object) -> str | None:
    """Return a sentence, without its subject, about a mistake that keeps an object from being a plugin, or `None`."""
    if not any(_options_of_hook(plugin, name) is not None for name in dir(plugin)):
        return f"has no function that is marked with @hookimpl{_remedy(plugin)}"
    if isinstance(plugin, type) and any(
        inspect.isfunction(member) and hasattr(member, HOOK_MARK) for member in vars(plugin).values()
    ):
        return f"is a class; register an instance of it: {plugin.__name__}()"
    return _problem_of_arguments(plugin)


def _remedy(plugin: object) -> str:
    """Return the end of the sentence about an object without hook functions."""
    if isinstance(plugin, str):
        return "; import the module of that name, and pass the module itself"
    if isinstance(plugin, (list, tuple, set)):
        return "; register each of its items"
    if _is_event(plugin):
        name = plugin.__name__ if isinstance(plugin, type) else type(plugin).__name__
        return f"; events are not plugins: write events=[{name}]"
    if unmarked := next(_unmarked_hooks(plugin), None):
        return f"; write @hookimpl, of heliograph or of Datasette, above `{unmarked}`"
    return ""


def _problem_of_arguments(plugin: object) -> str | None:
    for name in dir(plugin):
        options = _options_of_hook(plugin, name)
        arguments = None if options is None else _ARGUMENTS.get(options.get("specname") or name)
        function = None if arguments is None else getattr(plugin, name)
        if arguments is None or not inspect.isroutine(function):
            continue
        own = getattr(function, "__func__", None)
        if own is not None:
            first = next(iter(inspect.signature(own).parameters), None)
            if first is None:
                return f"cannot be registered: write `self` as the first argument of its method `{name}`"
            if first in arguments:
                return f"cannot be registered: write `self` before the argument {first!r} of its method `{name}`"
        parameters = inspect.signature(function).parameters.values()
        needed = [each.name for each in parameters if each.kind in _POSITIONAL and each.default is each.empty]
        wrong = [each for each in needed if each not in arguments]
        if wrong:
            return (
                f"cannot be registered: its function `{name}` has the argument {wrong[0]!r}, and the hook has only: "
                f"{', '.join(arguments)}"
            )
    return None


def _options_of_hook(plugin: object, name: str) -> dict[str, Any] | None:
    """Return the arguments of `hookimpl` for an attribute of a plugin, or `None` if it is not a hook function, or cannot be read."""
    try:
        options = getattr(getattr(plugin, name, None), HOOK_MARK, None)
    except program_errors():
        # It is a property, or a lazy object.
        return None
    return options if type(options) is dict else None


def _unmarked_hooks(plugin: object) -> Iterator[str]:
    """Yield the name of each function that has the name and the arguments of a hook, and lacks the mark of `hookimpl`."""
    for name, arguments in _ARGUMENTS.items():
        try:
            function = getattr(plugin, name, None)
            if not inspect.isroutine(function) or hasattr(function, HOOK_MARK):
                continue
            parameters = inspect.signature(function).parameters
        except program_errors():
            # It is a property, a lazy object, or a function in C.
            continue
        if isinstance(plugin, ModuleType) and getattr(function, "__module__", None) != plugin.__name__:
            # It is imported from elsewhere: the module calls it, and does not define a hook.
            continue
        if {each for each in parameters if each != "self"} <= set(arguments):
            yield name


def misspelled_hooks(plugin: object) -> Iterator[tuple[str, str]]:
    """Yield the name of each hook function of a plugin that no host will call, with the name that was probably meant.

    A plugin may have hooks of Datasette that a `Host` does not call. So only a name is reported that is nearly one of ours.
    """
    for name in dir(plugin):
        options = _options_of_hook(plugin, name)
        if options is None or options.get("optionalhook"):
            continue
        hook = options.get("specname") or name
        near = difflib.get_close_matches(hook, _ARGUMENTS, n=1, cutoff=_SIMILARITY)
        if near and hook not in _ARGUMENTS:
            yield hook, near[0]


def warn_of_uncalled_hooks(plugin: object) -> None:
    """Log a warning for each function of a plugin that is meant to be a hook, and that no host will call."""
    try:
        misspelled, unmarked = list(misspelled_hooks(plugin)), list(_unmarked_hooks(plugin))
    except program_errors():
        # The plugin's own code fails, such as `__dir__`. Nothing else needs it, so it must not end the start of the program.
        return
    for name, near in misspelled:
        logger.warning(
            "The plugin %r implements %r, which is not a hook, so it is never called; did you mean %r?",
            plugin,
            name,
            near,
        )
    for name in unmarked:
        logger.warning(
            "The plugin %r has a function %r without @hookimpl, so it is never called; write @hookimpl above it.",
            plugin,
            name,
        )


def _is_event(plugin: object) -> bool:
    return hasattr(plugin if isinstance(plugin, type) else type(plugin), "__event_options__")


def label_of(plugin: object) -> str:
    """Return a plugin as text for a message. An event that was passed instead of a plugin may have private values."""
    return qualified_name(plugin) if _is_event(plugin) else repr(plugin)
