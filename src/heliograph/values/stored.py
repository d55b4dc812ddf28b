"""Read what an object stores, without running the code of its class.

``getattr`` runs properties, ``__getattr__`` and ``__getattribute__``; ``isinstance`` asks an object for its ``__class__``. Such
code can raise, block, or show a secret. The functions here read the instance's dict, its slots, and the class's own dict.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from heliograph.classes import ancestors, class_dict, qualified_name
from heliograph.values.text import display

MAX_CACHED_CLASSES: Final = 1024
"""The largest number of classes that each cache keeps. A program may make classes without end, so no cache may keep all of them."""

_C_DESCRIPTORS: Final = frozenset({types.MemberDescriptorType, types.GetSetDescriptorType})
"""The descriptors of slots and of classes written in C. Python code cannot make or override their functions."""


def class_name(cls: type) -> str:
    """Return the module and the name of a class, as one short printable text."""
    return display(qualified_name(cls))


def stored_attribute(value: object, name: str) -> object:
    """Return what an object stores under a name, or `None` if it stores nothing, or if its class has a property of that name."""
    stored = instance_dict(value)
    # Presence is tested by the name: to compare a stored value would run its code.
    return dict.get(stored, name) if dict.__contains__(stored, name) else _from_class(type(value), name, value)


def stored_attributes(value: object, names: Iterable[str]) -> dict[str, object]:
    """Return what the object stores under each name, as `stored_attribute` does."""
    return {name: stored_attribute(value, name) for name in names}


def instance_dict(value: object) -> dict[str, object]:
    """Return the dict of an object's own attributes, or an empty one if it has none."""
    cls: Any = type(value)
    getter = _instance_dict_getter(cls)
    return {} if getter is None else getter(value)


def has_instance_dict(cls: type) -> bool:
    """Return True if the objects of a class have a dict for attributes of their own."""
    return _instance_dict_getter(cls) is not None


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def _instance_dict_getter(cls: type) -> Callable[[object], dict[str, object]] | None:
    for base in ancestors(cls):
        found: Any = class_dict(base).get("__dict__")
        # It is not a property of the class.
        if type(found) in _C_DESCRIPTORS:
            getter: Callable[[object], dict[str, object]] = found.__get__
            return getter
    return None


def _from_class(cls: type, name: str, value: object) -> object:
    """Return the content of a slot, or the value that the class itself stores as a default."""
    for base in ancestors(cls):
        members: Mapping[str, Any] = class_dict(base)
        if name not in members:
            continue
        found = members[name]
        if type(found) in _C_DESCRIPTORS:
            try:
                return found.__get__(value)
            except AttributeError:  # an empty slot
                return None
        return None if _is_descriptor(found) else found
    return None


def _is_descriptor(value: object) -> bool:
    return any("__get__" in class_dict(base) for base in ancestors(type(value)))


def overrides(cls: type, base: type, name: str) -> bool:
    """Return True if a class, or one between it and a base of it, has a method of its own in place of that of the base."""
    between = itertools.takewhile(lambda each: each is not base, ancestors(cls))
    return any(name in class_dict(each) for each in between)


def reads_plainly(cls: type, names: Iterable[str]) -> bool:
    """Return True if ``getattr`` runs no code of a class, and returns what `stored_attribute` does, for these names."""
    return _has_plain_lookup(cls) and all(_is_plain_member(cls, name) for name in names)


def _has_plain_lookup(cls: type) -> bool:
    getters = (class_dict(base).get("__getattribute__") for base in ancestors(cls))
    is_plain = type(next(each for each in getters if each is not None)) is types.WrapperDescriptorType
    # Pydantic's own is called for what an object does not have.
    owners = [base for base in ancestors(cls) if "__getattr__" in class_dict(base)]
    return is_plain and all(base.__module__.partition(".")[0] == "pydantic" for base in owners)


def _is_plain_member(cls: type, name: str) -> bool:
    for base in ancestors(cls):
        if name in class_dict(base):
            found = class_dict(base)[name]
            return type(found) in _C_DESCRIPTORS or not _is_descriptor(found)
    return True
