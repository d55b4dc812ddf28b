"""Callbacks around `os.fork`, for objects that own locks, threads or connections.

A child process has a copy of the parent's memory, but only the thread that called `os.fork`. A lock that another thread
held stays locked for ever in the child, and the parent's background threads do not run there. So an object that owns such
things replaces them in the child, before any other code can use it.

A callback of `os.register_at_fork` cannot be removed again. So this module registers one for each moment of a fork, when it is imported.
It calls the methods of the objects that are alive. Objects that are gone cost a fork nothing, however many a program has had. The
methods are held by weak references, which do not keep their objects alive.

Any thread may register a method, and any thread may delete the last reference to an object: each is one operation on a dict.

On systems without `os.fork` (Windows) no method is called.
"""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import MethodType
from typing import Final, cast

from heliograph.runtime.weak_methods import weak_method


class _Methods:
    """Bound methods for one moment of each fork, in the order in which they were registered, as long as their objects live."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._references: dict[int, Callable[[], Callable[[], None] | None]] = {}

    def add(self, method: Callable[[], None]) -> None:
        number = next(self._numbers)
        self._references[number] = weak_method(method)
        owner = cast("MethodType", method).__self__
        weakref.finalize(owner, self._references.pop, number, None).atexit = False

    def call_in_order(self) -> None:
        _call_last_first(reversed(self._alive()))

    def call_last_first(self) -> None:
        _call_last_first(self._alive())

    def _alive(self) -> list[Callable[[], None]]:
        # A garbage collection deletes objects at any time, so the dict may change in a loop over it: hence the copy.
        methods = [reference() for reference in self._references.copy().values()]
        return [method for method in methods if method is not None]


def _call_last_first(methods: Iterable[Callable[[], None]]) -> None:
    """Call all methods, also after one has raised. Python reports the exception, and forks."""
    with ExitStack() as stack:
        for method in methods:
            stack.callback(method)


_before: Final = _Methods()
_after_in_parent: Final = _Methods()
_after_in_child: Final = _Methods()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before.call_last_first,
        after_in_parent=_after_in_parent.call_in_order,
        after_in_child=_after_in_child.call_in_order,
    )


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call a bound method in each child process that this process forks, as long as the method's object lives.

    Objects are called in the order in which they registered. The method runs in the only thread of the child, so it
    needs no lock.
    """
    _after_in_child.add(method)


def around_fork(before: Callable[[], None], after_in_parent: Callable[[], None]) -> None:
    """Call one bound method before each fork of this process, and another one after it in the parent.

    Use it to hold a lock during the fork, so that the child's copy of what the lock guards is consistent. The child
    still needs a new lock: see `after_fork_in_child`. The methods before a fork are called in the opposite order of registration.
    """
    _before.add(before)
    _after_in_parent.add(after_in_parent)
