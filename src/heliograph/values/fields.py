"""Read the fields of a class and their annotations, without running the code of the class.

A class can be named by itself or by an alias, such as ``Box[Secret]``, which has the arguments of its type parameters. Both are *hints*.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from typing_extensions import Unpack

from heliograph.events import Attribute, Privacy
from heliograph.values import pydantic_fields
from heliograph.values.generics import (
    annotated,
    annotations_of,
    class_of,
    is_generic,
    is_open,
    meaning_of,
    parameters_of,
)
from heliograph.values.stored import MAX_CACHED_CLASSES, has_instance_dict, instance_dict

UNKNOWN: Final = Attribute(privacy=Privacy.MASK)
"""The declaration of a field whose annotation cannot be evaluated: it may ask for privacy."""


def cached_by_hint(function: Callable[[Any], Any]) -> Any:
    """Cache the results of a function of one hint. A hint that cannot be hashed is not cached."""
    cached = functools.lru_cache(maxsize=MAX_CACHED_CLASSES)(function)

    @functools.wraps(function)
    def look_up(hint: Any) -> Any:
        try:
            hash(hint)
        except TypeError:
            # It is an alias whose argument has a declaration with a list in it.
            return function(hint)
        return cached(hint)

    look_up.cache_info, look_up.cache_clear = cached.cache_info, cached.cache_clear  # type: ignore[attr-defined]
    return look_up


@functools.lru_cache(maxsize=MAX_CACHED_CLASSES)
def field_names(cls: type) -> tuple[str, ...] | None:
    """Return the names of the fields of a class as they are stored in its objects, and `None` for a class without fields.

    Dataclasses, `msgspec.Struct`, attrs classes, and pydantic's models and dataclasses have fields. A field that pydantic
    excludes is not among them.
    """
    names = _stored_names(cls)
    if names is None:
        return None
    described = pydantic_fields.fields_of(cls)
    return tuple(name for name in names if not pydantic_fields.is_excluded(described.get(name)))


def _stored_names(cls: type) -> tuple[str, ...] | None:
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    if issubclass(cls, msgspec.Struct):
        return cls.__struct_fields__
    attributes = getattr(cls, "__attrs_attrs__", None)  # of attrs
    if isinstance(attributes, tuple):
        return tuple(field.name for field in attributes)
    return tuple(pydantic_fields.fields_of(cls)) if pydantic_fields.is_model(cls) else None


def field_hints(hint: object, names: Iterable[str]) -> dict[str, object]:
    """Return the annotations of some fields of a class or alias, with resolved type parameters and pydantic's constraints.

    Raises:
        Exception: One of the annotations cannot be evaluated. Any exception is possible.
    """
    names = tuple(names)
    cls = class_of(hint)
    described = {} if cls is None else pydantic_fields.fields_of(cls)
    known = {name: pydantic_fields.annotation_of(described[name]) for name in names if name in described}
    hints = {name: each for name, each in known.items() if each is not None and not is_open(each)}
    rest = [name for name in names if name not in hints]
    # Pydantic resolves some names later than others, and does not resolve the parameters of a dataclass.
    evaluated = annotations_of(hint, rest, arguments=arguments_if_unknown(hint)) if rest else {}
    return hints | {
        name: annotated(each, pydantic_fields.metadata_of(described.get(name))) for name, each in evaluated.items()
    }


def arguments_if_unknown(hint: object) -> tuple[object, ...] | None:
    """Return arguments that ask to be masked, for a class whose objects cannot know theirs. Return `None` for any other hint.

    It is a generic class without arguments, and `typing` cannot keep an alias in its objects.
    """
    cls = class_of(hint)
    if cls is None or typing.get_args(hint) or not is_generic(cls) or _keeps_alias(cls):
        return None
    return tuple(map(_masked_argument, parameters_of(cls)))


def _masked_argument(parameter: Any) -> object:
    masked: Any = annotated(meaning_of(parameter), (UNKNOWN,))
    match type(parameter).__name__:
        case "ParamSpec":
            return ...
        case "TypeVarTuple":
            return Unpack[tuple[masked, ...]]  # any number of them
        case _:
            return masked


def _keeps_alias(cls: type) -> bool:
    """Return True if an object that an alias makes keeps the alias in its dict. A frozen or slotted object cannot."""
    # The aliases of a pydantic model are classes of their own.
    if pydantic_fields.is_model(cls):
        return True
    setter: Any = cls.__setattr__
    is_plain = setter is object.__setattr__ or getattr(cls, "__attrs_own_setattr__", False)
    return has_instance_dict(cls) and is_plain and getattr(setter, "__name__", "") != "_frozen_setattrs"


def is_named_tuple(cls: type) -> bool:
    """Return True if a class is a named tuple: a tuple whose items have names."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def type_of(value: object) -> Any:
    """Return the class of a value, or the alias that made it, such as ``Box[Secret]``, if the value knows it.

    `typing` keeps the alias in the value. A frozen or slotted object has no place for it.
    """
    cls: Any = type(value)  # mypy does not consider a class hashable
    if not has_instance_dict(cls):
        return cls
    alias = dict.get(instance_dict(value), "__orig_class__")
    return alias if type(alias) in _ALIAS_TYPES and typing.get_origin(alias) is cls else cls


_ALIAS_TYPES: Final = frozenset({types.GenericAlias, type(typing.List[int])})  # noqa: UP006 — typing's own alias
