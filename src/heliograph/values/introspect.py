"""Read the fields of a class, and the `Attribute` declarations in their annotations."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from typing_extensions import Unpack, is_typeddict

from heliograph.events import Attribute, Privacy
from heliograph.runtime.program_errors import PROGRAM_ERRORS
from heliograph.values import pydantic_fields
from heliograph.values.generics import (
    annotated,
    annotations_of,
    class_of,
    container_arguments,
    is_generic,
    is_open,
    is_parameter,
    meaning_of,
    parameters_of,
)
from heliograph.values.stored import has_instance_dict, instance_dict

MAX_CACHED_CLASSES: Final = 1024
"""The number of classes that each cache keeps. A program may make classes without end, so no cache may keep all of them."""

UNKNOWN: Final = Attribute(privacy=Privacy.MASK)
"""The declaration of a field whose annotation cannot be evaluated: it may ask for privacy."""


def cached_by_hint(function: Callable[[Any], Any]) -> Any:
    """Cache the results of a function of one hint. A hint that cannot be hashed is not cached."""
    cached = functools.lru_cache(maxsize=MAX_CACHED_CLASSES)(function)

    @functools.wraps(function)
    def look_up(hint: Any) -> Any:
        try:
            hash(hint)
        except TypeError:  # an alias whose argument has a declaration with a list in it
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
    if pydantic_fields.is_model(cls):  # its aliases are classes of their own
        return True
    setter: Any = cls.__setattr__
    is_plain = setter is object.__setattr__ or getattr(cls, "__attrs_own_setattr__", False)
    return has_instance_dict(cls) and is_plain and getattr(setter, "__name__", "") != "_frozen_setattrs"


def attributes_in(hint: object, *, in_arguments: bool = True) -> list[Attribute]:
    """Return every `Attribute` in an annotation, at any depth, each object once.

    Args:
        hint: The annotation.
        in_arguments: True to look into the arguments of generic classes that have fields, such as ``Box[Secret]``. The
            declaration there is one of a field inside of the value.
    """
    return [part for part in parts_of(hint, in_arguments=in_arguments) if isinstance(part, Attribute)]


def parts_of(hint: object, *, in_arguments: bool) -> Iterator[Any]:
    """Yield an annotation and everything inside of it, each object once.

    Args:
        hint: The annotation.
        in_arguments: True to look into the arguments of generic classes that have fields.
    """
    seen: set[int] = set()  # an alias may refer to itself
    queue = [hint]
    for part in queue:  # it grows meanwhile
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, Attribute):
            continue
        if in_arguments or not _has_fields(part):
            queue += typing.get_args(part)
            queue += [
                each for _, arguments in container_arguments(part, arguments_if_unknown(part)) for each in arguments
            ]
        queue += [getattr(part, name) for name in _ALIASES if not isinstance(part, type) and hasattr(part, name)]
        queue += [meaning_of(part)] if is_parameter(part) else []


_ALIASES: Final = ("__value__", "__supertype__")
"""The attributes in which ``type X = …`` and `NewType` keep the type that they are another name for."""


def _has_fields(hint: object) -> bool:
    cls = class_of(hint)
    return cls is not None and (field_names(cls) is not None or is_named_tuple(cls) or is_typeddict(cls))


def is_named_tuple(cls: type) -> bool:
    """Return True if a class is a named tuple: a tuple whose items have names."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def with_pydantic_privacy(declared: Attribute, hint: object, field: object) -> Attribute:
    """Return the declaration of a field with the privacy that pydantic's own declarations ask for.

    A secret is masked whatever is declared. A field with ``repr=False`` is masked unless it declares a privacy.

    Args:
        declared: The `Attribute` in its annotation.
        hint: Its annotation.
        field: Pydantic's description of the field, or `None`.
    """
    metadata = getattr(hint, "__metadata__", ())
    is_hidden = pydantic_fields.is_hidden(field) or pydantic_fields.is_hidden(pydantic_fields.in_annotation(metadata))
    if (_is_secret(hint) and declared.privacy is not Privacy.DROP) or (is_hidden and declared.privacy is None):
        return dataclasses.replace(declared, privacy=Privacy.MASK)
    return declared


def _is_secret(hint: object) -> bool:
    """Return True if every value of an annotation is a secret, or `None`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _is_secret(arguments[0])
    if origin is typing.Union or isinstance(hint, types.UnionType):
        options = [each for each in arguments if each is not type(None)]
        return bool(options) and all(map(_is_secret, options))
    return pydantic_fields.is_secret(origin or hint)


@cached_by_hint
def declared_privacy(hint: object) -> Mapping[str, Attribute]:
    """Return the declarations of a class or alias that affect the privacy of its fields, by field name.

    A field whose annotation cannot be evaluated counts as masked, because its declaration may ask for that.
    """
    cls = class_of(hint)
    described = {} if cls is None else pydantic_fields.fields_of(cls)
    declared: dict[str, Attribute] = {}
    for name in (cls and field_names(cls)) or ():
        attribute = _strictest(hint, name, described.get(name))
        if attribute.privacy is not None or attribute.requirement == "opt_in":
            declared[name] = attribute
    return declared


def _strictest(hint: object, name: str, described: object) -> Attribute:
    try:
        annotation = field_hints(hint, [name]).get(name)
        found = attributes_in(annotation)
    except Exception:  # an annotation may be any expression
        return UNKNOWN
    return with_pydantic_privacy(merge_attributes(found), annotation, described)


def merge_attributes(attributes: Iterable[Attribute]) -> Attribute:
    """Return one declaration with all that several declare: of two names the later one, of two privacies the stricter one.

    A generic class can declare something of ``Annotated[T, Attribute(…)]``, and the argument of ``T`` can declare more.
    """
    merged = Attribute()
    for each in attributes:
        changes = {name: value for name, value in vars(each).items() if value != getattr(_NOTHING, name)}
        if _STRICTNESS.get(merged.privacy, 0) > _STRICTNESS.get(each.privacy, 0):
            changes.pop("privacy", None)
        if merged.requirement == "opt_in":
            changes.pop("requirement", None)
        merged = dataclasses.replace(merged, **changes)
    return merged


_NOTHING: Final = Attribute()
_STRICTNESS: Final[Mapping[Privacy | None, int]] = {Privacy.PLAIN: 0, Privacy.HASH: 1, Privacy.MASK: 2, Privacy.DROP: 3}


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


def getattr_or_none(obj: object, name: str) -> object:
    """Return an attribute of an object, or `None` if the object does not have it or raises an exception instead."""
    try:
        return getattr(obj, name, None)
    except PROGRAM_ERRORS:  # a property is a program's own code; its failure must not lose the event
        return None
