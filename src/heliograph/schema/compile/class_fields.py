"""List the fields of a class that can be the type of a field: their names, their annotations, and if they are required."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from typing_extensions import is_typeddict

from heliograph.values import pydantic_fields
from heliograph.values.fields import field_hints, field_names, is_named_tuple
from heliograph.values.generics import annotations_of, class_of


@dataclass(frozen=True, kw_only=True)
class ClassField:
    """One field of a class.

    Attributes:
        name: Its name.
        hint: Its annotation, with the type parameters of the class resolved.
        is_required: True if an object cannot be made without it.
        description: Pydantic's description of the field, or `None`.
    """

    name: str
    hint: object
    is_required: bool
    description: object = None


def fields_of_class(hint: object, *, without: frozenset[str] = frozenset()) -> tuple[ClassField, ...] | None:
    """Return the fields of a class or of an alias of one, in the order of the class. Return `None` if it has no fields.

    Args:
        hint: The class or alias.
        without: The names of fields that are not wanted, and whose annotations are not evaluated.

    Raises:
        Exception: An annotation cannot be evaluated. Any exception is possible.
    """
    cls: Any = class_of(hint)
    if is_typeddict(cls):
        names = tuple(cls.__annotations__)
        hints = annotations_of(hint, names)
        return _with_hints(hints, names, lambda name: _is_required_key(cls, name, hints[name]))
    if is_named_tuple(cls):
        hints = annotations_of(hint, cls._fields)
        return _with_hints(hints, cls._fields, lambda name: name not in cls._field_defaults)
    stored = field_names(cls)
    if stored is None:
        return None
    stored = tuple(name for name in stored if name not in without)
    described = pydantic_fields.fields_of(cls)
    return _with_hints(field_hints(hint, stored), stored, _is_required(cls, described), described)


def _with_hints(
    hints: Mapping[str, object],
    names: tuple[str, ...],
    is_required: Callable[[str], bool],
    described: Mapping[str, object] | None = None,
) -> tuple[ClassField, ...]:
    return tuple(
        ClassField(
            name=name,
            hint=hints.get(name, Any),
            is_required=is_required(name),
            description=(described or {}).get(name),
        )
        for name in names
    )


def _is_required_key(cls: Any, name: str, hint: object) -> bool:
    # Python does not see a qualifier in an annotation that is text, as all are by `from __future__ import annotations`.
    qualifier = getattr(typing.get_origin(hint), "_name", None)
    return name in cls.__required_keys__ if qualifier not in {"Required", "NotRequired"} else qualifier == "Required"


def _is_required(cls: Any, described: Mapping[str, Any]) -> Callable[[str], bool]:
    """Return a function that returns True for the name of a field without a default."""
    if dataclasses.is_dataclass(cls):
        fields = {field.name: field for field in dataclasses.fields(cls)}
        return lambda name: _has_no_default(fields[name]) if name not in described else _is_required_by(described[name])
    if issubclass(cls, msgspec.Struct):
        names, defaults = cls.__struct_fields__, cls.__struct_defaults__
        # The defaults belong to the last fields.
        given = dict(zip(reversed(names), reversed(defaults)))
        return lambda name: given.get(name, msgspec.NODEFAULT) is msgspec.NODEFAULT
    if pydantic_fields.is_model(cls):
        return lambda name: _is_required_by(described[name])
    attributes = {field.name: field.default for field in cls.__attrs_attrs__}
    return lambda name: type(attributes[name]).__name__ == "_Nothing"


def _has_no_default(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_required_by(field: Any) -> bool:
    if hasattr(field, "field_info"):  # pydantic 1
        return field.required is True
    return field.default_factory is None and type(field.default).__name__ == "PydanticUndefinedType"
