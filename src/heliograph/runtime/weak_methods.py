"""A reference to a bound method that keeps neither the method's object nor its function alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., object])


def weak_method(method: Method) -> Callable[[], Method | None]:
    """Return a function that returns the bound method, or `None` once the method's object is gone.

    A bound method is a temporary object, so a plain weak reference to it is dead at once. `weakref.WeakMethod` does not suit either: its own
    callback fails if the interpreter deletes both at its end (Python 3.13). The function is not kept alive, because its globals would keep
    the modules, and so the program's objects, beyond the end of the interpreter.
    """
    bound = cast("MethodType", method)
    owner, function = weakref.ref(bound.__self__), weakref.ref(bound.__func__)

    def get() -> Method | None:
        alive, run = owner(), function()
        return None if alive is None or run is None else cast("Method", MethodType(run, alive))

    return get
