"""Find the converter of a value, by its exact class and then by its ancestors: the function that turns it into a value of a simpler class.

A program may register converters for classes of its own. No other code of a program runs to make a form, and the converters are
limited in time and size: see `heliograph.values.forms`.
"""

from __future__ import annotations

import enum
import functools
import itertools
import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

from heliograph.classes import ancestors
from heliograph.values.fields import field_names
from heliograph.values.named_classes import named_converter
from heliograph.values.standard_library import STANDARD, Converter
from heliograph.values.stored import MAX_CACHED_CLASSES, class_name

T = TypeVar("T")


class RunningCall:
    """One call of a registered converter, in one process.

    Attributes:
        is_done: True once it has returned.
    """

    __slots__ = ("_pid", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self._pid = os.getpid()

    @property
    def is_running(self) -> bool:
        """True if it has not returned. Its thread does not exist in a forked child."""
        return not self.is_done and self._pid == os.getpid()


class RegisteredConverter:
    """A converter of the program's own.

    Any number of threads may call it at once. ``last_abandoned`` is one reference, so that it needs no lock.

    Attributes:
        last_abandoned: The last call that took longer than it may. As long as it runs, the converter is not called again, so
            that the number of threads with calls that never return does not grow.
    """

    def __init__(self, function: Callable[[Any], object]) -> None:
        self._function = function
        self.last_abandoned: RunningCall | None = None

    @property
    def is_available(self) -> bool:
        """True if no abandoned call of it is still running."""
        return self.last_abandoned is None or not self.last_abandoned.is_running

    def __call__(self, value: object, call: RunningCall) -> object:
        """Return the function's result. Mark the call as done when it has ended."""
        try:
            return self._function(value)
        finally:
            call.is_done = True


_registered: Final[dict[type, RegisteredConverter]] = {}


def register_converter(cls: type[T], converter: Callable[[T], object]) -> None:
    """Export the values of a class, and of its subclasses, as what a function returns for them.

    The function gets the value, and returns anything that has a form (see ``docs/values.md``): a text, a number, a list, a dict.
    It runs whenever such a value is in an event, perhaps several times, in another thread with the caller's context. It has half
    a second for all such values of one property. If it takes longer, raises, or returns more than 64 KiB, the value is exported
    as ``<module.Class>``, and a warning is logged.

    A second call for the same class replaces the first converter.

    Args:
        cls: A class without a documented form. Of the classes that a value's class inherits from, the nearest counts.
        converter: The function.

    Raises:
        TypeError: ``cls`` is not a class, or ``converter`` cannot be called.
        ValueError: The class has a documented form already, which may protect private values.

    >>> class Money:
    ...     def __init__(self, cents): self.cents = cents
    >>> register_converter(Money, lambda money: money.cents)
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_converter expects a class, not an instance of {class_name(type(cls))}")
    if not callable(converter):
        raise TypeError(f"the converter of {class_name(cls)} cannot be called; pass a function of one argument")
    if cls is type(None) or has_fields(cls) or any(_built_in(base) for base in ancestors(cls)):
        raise ValueError(f"{class_name(cls)} has a documented form already; see docs/values.md")
    _registered[cls] = RegisteredConverter(converter)
    converter_of.cache_clear()


def has_fields(cls: type) -> bool:
    """Return True if the values of a class are read field by field. Exceptions and members of enums are not."""
    bases = ancestors(cls)
    return BaseException not in bases and enum.Enum not in bases and field_names(cls) is not None


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def converter_of(cls: type) -> Converter | RegisteredConverter | None:
    """Return the converter of a class, or `None` if there is none for it or for a class that it inherits from."""
    bases = ancestors(cls)
    for first in (BaseException, enum.Flag, enum.Enum):  # whatever else they inherit from
        if first in bases:
            return STANDARD[first]
    for base in bases:
        found = _built_in(base) or _registered.get(base)
        if found is not None:
            return found
    return None


def is_fixed(cls: type) -> bool:
    """Return True if the converter of a class is a documented one, and no registered one can ever take its place."""
    nearer = itertools.takewhile(lambda base: _built_in(base) is None, ancestors(cls))
    # A class beside the documented one, such as a mixin, may get a converter.
    return all(any(map(_built_in, ancestors(base))) for base in nearer)


def _built_in(base: type) -> Converter | None:
    return STANDARD.get(base) or named_converter(base)
