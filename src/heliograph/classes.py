"""Read what Python itself stores of a class: its ancestors, its dict and its name.

``cls.__mro__`` and the like can run code of a metaclass, which may return anything, or raise. These functions run no such code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MRO: Final = type.__dict__["__mro__"].__get__
_DICT: Final = type.__dict__["__dict__"].__get__
_MODULE: Final = type.__dict__["__module__"].__get__
_QUALNAME: Final = type.__dict__["__qualname__"].__get__


def ancestors(cls: type) -> tuple[type, ...]:
    """Return a class and all its base classes, in the order in which Python looks for a method."""
    found: tuple[type, ...] = _MRO(cls)
    return found


def class_dict(cls: type) -> Mapping[str, Any]:
    """Return what the body of a class defines, without its base classes."""
    found: Mapping[str, Any] = _DICT(cls)
    return found


def module_name(cls: type) -> str:
    """Return the name of a class's module; ``?`` if the class has replaced it by something else than a text."""
    found = _MODULE(cls)
    return found if type(found) is str else "?"


def qualname(cls: type) -> str:
    """Return the name of a class inside of its module."""
    found: str = _QUALNAME(cls)
    return found


def qualified_name(value: object) -> str:
    """Return the module and name of a class, or of the class of any other object, for use in messages."""
    kind = type(value)
    # `isinstance` would ask an object for its `__class__`.
    cls: type[Any] = value if issubclass(kind, type) else kind  # type: ignore[assignment]
    return f"{module_name(cls)}.{qualname(cls)}"
