"""Starting anew in the child of a fork."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def after_fork_in_child(method: Callable[[], None]) -> None:
    """Call the bound ``method`` in every child that this process forks, for as long as its object lives.

    Nothing happens on systems that cannot fork.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_while_alive(method))


def around_fork(before: Callable[[], None], after_in_parent: Callable[[], None]) -> None:
    """Call the one bound method before every fork of this process, and the other after it in the parent."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_while_alive(before), after_in_parent=_while_alive(after_in_parent))


def _while_alive(method: Callable[[], None]) -> Callable[[], None]:
    reference = weakref.WeakMethod(method)

    def call() -> None:
        alive = reference()
        if alive is not None:
            alive()

    return call
