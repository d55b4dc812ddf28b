"""Read the fields of a class, and the `Attribute` declarations in their annotations."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from heliograph.events import Attribute, Privacy

MAX_CACHED_CLASSES: Final = 1024
"""The number of classes that each cache keeps. A program may make classes without end, so no cache may keep all of them."""


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def field_names(cls: type) -> tuple[str, ...] | None:
    """Return the names of the fields of a dataclass, a `msgspec.Struct` or an attrs class, and `None` for any other class."""
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if hasattr(cls, "__attrs_attrs__"):
        return tuple(field.name for field in cls.__attrs_attrs__)
    return None


def annotations_of(cls: type, names: Iterable[str]) -> dict[str, object]:
    """Return the evaluated annotations of some fields of a class, inherited ones included.

    `typing.get_type_hints` of the whole class would fail if any other annotation cannot be evaluated. Python 3.10 cannot
    evaluate ``"InitVar[int]"``, for example.

    Raises:
        Exception: One of the annotations cannot be evaluated. Any exception is possible.
    """
    wanted = frozenset(names)
    annotations: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        declared = {name: hint for name, hint in inspect.get_annotations(base).items() if name in wanted}
        if not declared:
            continue
        module = sys.modules.get(base.__module__)
        stub = types.SimpleNamespace(__annotations__=declared)
        annotations |= typing.get_type_hints(
            stub, vars(module) if module else {}, dict(vars(base)), include_extras=True
        )
    return annotations


def attributes_in(hint: object) -> list[Attribute]:
    """Return every `Attribute` in an annotation, at any depth, each object once."""
    found: dict[int, Attribute] = {}
    seen: set[int] = set()  # an alias may refer to itself
    queue = [hint]
    while queue:
        part = queue.pop(0)
        if isinstance(part, Attribute):
            found[id(part)] = part
        elif id(part) not in seen:
            seen.add(id(part))
            queue += typing.get_args(part)
            queue += [getattr(part, name) for name in _ALIASES if not isinstance(part, type) and hasattr(part, name)]
    return list(found.values())


_ALIASES: Final = ("__value__", "__supertype__")
"""The attributes in which ``type X = …`` and `NewType` keep the type that they are another name for."""


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def declared_privacy(cls: type) -> Mapping[str, Attribute]:
    """Return the declarations of a class that affect the privacy of its fields, by field name.

    A field whose annotation cannot be evaluated counts as masked, because its declaration may ask for that.
    """
    declared: dict[str, Attribute] = {}
    for name in field_names(cls) or ():
        try:
            attributes = attributes_in(annotations_of(cls, [name]).get(name))
        except Exception:  # an annotation may be any expression
            attributes = [Attribute(privacy=Privacy.MASK)]
        for attribute in attributes:
            if attribute.privacy is not None or attribute.requirement == "opt_in":
                declared[name] = attribute
    return declared


def getattr_or_none(obj: object, name: str) -> object:
    """Return an attribute of an object, or `None` if the object does not have it or raises an exception instead."""
    try:
        return getattr(obj, name, None)
    except Exception:  # a property is a program's own code; its failure must not lose the event
        return None
