"""Make functions keep the context in which they were made, whichever thread runs them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import copy_context
from typing import ParamSpec, TypeVar

from heliograph.classes import qualified_name

P = ParamSpec("P")
T = TypeVar("T")


def keep_context(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that runs in a copy of the context of this call, in whatever thread it is called.

    The threads of an executor have a context of their own: the events in them have no actor, and are in no span. It works with
    ``submit``, ``map``, ``run_in_executor`` and `threading.Thread`, and any number of threads may call the function at once. It does not
    work in another process: pass the actor as an argument there, and use `acting_as`.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from heliograph import acting_as, current_actor, keep_context
    >>> with ThreadPoolExecutor() as executor, acting_as({"id": "root"}):
    ...     executor.submit(current_actor).result(), executor.submit(keep_context(current_actor)).result()
    (None, {'id': 'root'})

    Args:
        function: A sync function without ``yield``. (A task has a copy of the context that it was created in.)

    Raises:
        TypeError: `function` cannot be called, is async, or is a generator function, whose body runs in the context of the code that
            iterates it.
    """
    if not callable(function):
        raise TypeError(f"keep_context() takes a function, not {qualified_name(function)}; pass it without calling it")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"keep_context() takes a sync function, not {function!r}; a task keeps the context without it")
    if inspect.isgeneratorfunction(function):
        raise TypeError(f"keep_context() takes a function without yield, not {function!r}; consume it in a function")
    context = copy_context()

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        # A copy for each call: a context cannot be entered twice at once.
        return context.copy().run(function, *args, **kwargs)

    return run
