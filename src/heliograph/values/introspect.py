"""What a class says of its fields: their annotations, and the `Attribute`s in them."""

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


@functools.lru_cache(maxsize=1024)
def field_names(cls: type) -> tuple[str, ...] | None:
    """The names of the fields of a dataclass, a `msgspec.Struct` or an attrs class; `None` for any other class."""
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    if hasattr(cls, "__attrs_attrs__"):
        return tuple(field.name for field in cls.__attrs_attrs__)
    return None


def annotations_of(cls: type, names: Iterable[str]) -> dict[str, object]:
    """The annotations of these fields: of them alone, as Python 3.10 cannot read one such as ``"InitVar[int]"``.

    Raises:
        Exception: One of them cannot be read.
    """
    wanted = frozenset(names)
    hints: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        said = {name: hint for name, hint in inspect.get_annotations(base).items() if name in wanted}
        if not said:
            continue
        module = sys.modules.get(base.__module__)
        stub = types.SimpleNamespace(__annotations__=said)
        hints |= typing.get_type_hints(stub, vars(module) if module else {}, dict(vars(base)), include_extras=True)
    return hints


def attributes_in(hint: object) -> list[Attribute]:
    """Every `Attribute` in an annotation, at any depth, each object once."""
    found: dict[int, Attribute] = {}
    seen: set[int] = set()
    waiting = [hint]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, Attribute):
            found[id(part)] = part
        elif id(part) not in seen:
            seen.add(id(part))
            waiting += typing.get_args(part)
            waiting += [getattr(part, name) for name in _ALIASES if not isinstance(part, type) and hasattr(part, name)]
    return list(found.values())


_ALIASES: Final = ("__value__", "__supertype__")
"""Where `type X = …` and `NewType` keep what they stand for."""


@functools.lru_cache(maxsize=1024)
def declared_privacy(cls: type) -> Mapping[str, Attribute]:
    """The fields of a class of values that say something of their privacy, by name.

    A field whose annotation cannot be read counts as masked: what it says, nobody knows.
    """
    names = field_names(cls) or ()
    declared: dict[str, Attribute] = {}
    for name in names:
        try:
            attributes = attributes_in(annotations_of(cls, [name]).get(name))
        except Exception:  # an annotation may say anything
            attributes = [Attribute(privacy=Privacy.MASK)]
        for attribute in attributes:
            if attribute.privacy is not None or attribute.requirement == "opt_in":
                declared[name] = attribute
    return declared


def getattr_or_none(event: object, name: str) -> object:
    """What the event has under a name; `None` where it has nothing, or raises."""
    try:
        return getattr(event, name, None)
    except Exception:  # a property may do anything; an event is never lost by it
        return None
