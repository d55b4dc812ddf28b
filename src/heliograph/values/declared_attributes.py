"""Find the `Attribute` declarations in annotations, and merge those that hold for the same field."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from typing_extensions import is_typeddict

from heliograph.events import Attribute, Privacy
from heliograph.values import pydantic_fields
from heliograph.values.fields import (
    UNKNOWN,
    arguments_if_unknown,
    cached_by_hint,
    field_hints,
    field_names,
    is_named_tuple,
)
from heliograph.values.generics import class_of, container_arguments, is_parameter, meaning_of


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
    # An alias may refer to itself.
    seen: set[int] = set()
    queue = [hint]
    for part in queue:  # the loop adds to it
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
    except Exception:
        # An annotation may be any expression.
        return UNKNOWN
    return with_pydantic_privacy(merge_declarations(found), annotation, described)


def merge_declarations(attributes: Iterable[Attribute]) -> Attribute:
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
