"""Callbacks around `os.fork`, for objects that own locks, threads or connections.

A child process has a copy of the parent's memory, but only the thread that called `os.fork`. A lock that another thread
held stays locked for ever in the child, and the parent's background threads do not run there. So an object that owns such
things replaces them in the child, before any other code can use it.

Python cannot remove a callback that `os.register_at_fork` was given. The callbacks here therefore hold their object by a
weak reference: they do not keep it alive, and do nothing once it is gone.

On systems without `os.fork` (Windows) the functions do nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from heliograph.runtime.weak_methods import weak_method


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call a bound method in each child process that this process forks, as long as the method's object lives.

    Objects are called in the order in which they registered. The method runs in the only thread of the child, so it
    needs no lock.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_while_object_lives(method))


def around_fork(before: Callable[[], None], after_in_parent: Callable[[], None]) -> None:
    """Call one bound method before each fork of this process, and another one after it in the parent.

    Use it to hold a lock during the fork, so that the child's copy of what the lock guards is consistent. The child
    still needs a new lock: see `after_fork_in_child`.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_while_object_lives(before), after_in_parent=_while_object_lives(after_in_parent))


def _while_object_lives(method: Callable[[], None]) -> Callable[[], None]:
    reference = weak_method(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
