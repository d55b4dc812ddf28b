"""Find the declarations that hold inside of a value, by its class, by the alias that made it, and by the place that it is in.

An object of ``Box[Secret]`` often does not know its type argument: `typing` keeps the alias in the object only if that has a dict
which may be changed. The annotation of the field that the object is in knows it, too, and is remembered as a `Place` while the
field's value is read. If neither knows it, and the class cannot keep an alias, the argument may ask for any privacy: fields that
have the type of a type parameter are then masked.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from heliograph.events import Attribute
from heliograph.values import pydantic_fields
from heliograph.values.converters import RegisteredConverter, converter_of
from heliograph.values.generics import annotations_of, class_of, is_generic
from heliograph.values.introspect import (
    UNKNOWN,
    arguments_if_unknown,
    attributes_in,
    cached_by_hint,
    field_hints,
    field_names,
    is_named_tuple,
    merge_attributes,
    parts_of,
    type_of,
    with_pydantic_privacy,
)
from heliograph.values.reports import report_unknown_arguments
from heliograph.values.standard_library import MAX_VALUES, Pairs, Unordered


@dataclass(frozen=True, kw_only=True)
class Place:
    """The generic classes that the annotation around a value names.

    Attributes:
        aliases: The aliases of each generic class in the annotation, such as ``Box[Secret]``, by class.
        otherwise: The declarations in the arguments of these aliases. They hold for a value that is no object of these classes.
    """

    aliases: Mapping[type, tuple[object, ...]] = field(default_factory=dict)
    otherwise: Attribute = Attribute()

    def hints_of(self, value: object) -> tuple[object, ...]:
        """Return the aliases that may describe a value in this place, or its class if there is none."""
        hint = type_of(value)
        around = self.aliases.get(type(value), ())
        return around or (hint,) if hint is type(value) else (hint, *around)

    def describes(self, value: object) -> bool:
        """Return True if a value is an object of these classes, or `None`, or a container of nothing else."""
        queue = [value]
        for each in queue:  # it grows meanwhile
            if each is None or type(each) in self.aliases:
                continue
            content = _content(each)
            if content is None or len(queue) + len(content) > MAX_VALUES:
                return False
            queue += content
        return True


def _content(value: object) -> list[object] | None:
    """Return what is inside of a container of the standard library or of a subclass. Return `None` for any other value."""
    for _ in range(_MAX_WRAPPED):
        if type(value) is Pairs:
            return [item for _, item in value]
        cls: Any = type(value)  # mypy does not consider a class hashable
        converter = None if cls in {list, Unordered} else converter_of(cls)
        if converter is None or isinstance(converter, RegisteredConverter):
            break
        value = converter(value)
    return value if isinstance(value, list) else None


_MAX_WRAPPED: Final = 8
"""The number of containers that may be wrapped in one another, as a `dict` is in a `UserDict`."""

NOWHERE: Final = Place()
"""The place of a value of which no annotation is known."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The declarations that hold for one value, or for one field of an object.

    Attributes:
        attribute: Those for the whole value.
        place: Those for what is inside of it.
    """

    attribute: Attribute = Attribute()
    place: Place = NOWHERE

    @property
    def is_empty(self) -> bool:
        """True if nothing is declared."""
        return not is_private(self.attribute) and not self.place.aliases


def is_private(attribute: Attribute) -> bool:
    """Return True if a declaration affects what is exported of a value."""
    return attribute.privacy is not None or attribute.requirement == "opt_in"


def fields_of(hints: tuple[object, ...]) -> Mapping[str, Declaration]:
    """Return what is declared for the fields of an object that several aliases describe. Fields without declarations are absent."""
    found: list[Mapping[str, Declaration]] = [_fields_of(hint) for hint in hints]
    if len(found) == 1:
        return found[0]
    names = dict.fromkeys(itertools.chain(*found))
    return {name: _merged([each[name] for each in found if name in each]) for name in names}


@cached_by_hint
def _fields_of(hint: object) -> Mapping[str, Declaration]:
    cls = class_of(hint)
    described = {} if cls is None else pydantic_fields.fields_of(cls)
    found = {name: _of_field(hint, name, described.get(name)) for name in (cls and field_names(cls)) or ()}
    found = {name: each for name, each in found.items() if not each.is_empty}
    if cls is not None and found and arguments_if_unknown(hint) is not None:
        report_unknown_arguments(cls)
    return found


def _of_field(hint: object, name: str, described: object) -> Declaration:
    try:
        annotation = field_hints(hint, [name]).get(name)
        attribute = merge_attributes(attributes_in(annotation, in_arguments=False))
        return Declaration(
            attribute=with_pydantic_privacy(attribute, annotation, described), place=_place_of(annotation)
        )
    except Exception:  # an annotation may be any expression
        return Declaration(attribute=UNKNOWN)


def whole(hints: tuple[object, ...]) -> Declaration:
    """Return what is declared for a value that is no object with fields, such as one of ``class Tags(list[Secret])``."""
    return _merged([_whole(hint) for hint in hints])


@cached_by_hint
def _whole(hint: object) -> Declaration:
    cls = class_of(hint)
    try:
        if cls is not None and is_named_tuple(cls):
            hints = annotations_of(hint, cls._fields, arguments=arguments_if_unknown(hint))  # type: ignore[attr-defined]
            return _merged([_of_annotation(each) for each in hints.values()])
        return _of_annotation(hint)
    except Exception:  # an annotation may be any expression
        return Declaration(attribute=UNKNOWN)


def _of_annotation(annotation: object) -> Declaration:
    attributes = attributes_in(annotation, in_arguments=False)
    return Declaration(attribute=merge_attributes(attributes), place=_place_of(annotation))


def _place_of(annotation: object) -> Place:
    aliases: dict[type, tuple[object, ...]] = {}
    parts = list(parts_of(annotation, in_arguments=False))
    for part in parts:
        cls = class_of(part)
        if cls is not None and typing.get_args(part) and is_generic(cls):
            aliases[cls] = (*aliases.get(cls, ()), part)
    if any(
        part is Any or part is object for part in parts
    ):  # an object there may be of the same class by another alias
        aliases = {cls: (*hints, cls) for cls, hints in aliases.items()}
    inside = attributes_in(annotation) if aliases else []
    return Place(aliases=aliases, otherwise=merge_attributes(inside)) if aliases else NOWHERE


def _merged(declarations: list[Declaration]) -> Declaration:
    if len(declarations) == 1:
        return declarations[0]
    aliases: dict[type, tuple[object, ...]] = {}
    for each in declarations:
        for cls, hints in each.place.aliases.items():
            aliases[cls] = (*aliases.get(cls, ()), *hints)
    return Declaration(
        attribute=merge_attributes([each.attribute for each in declarations]),
        place=Place(aliases=aliases, otherwise=merge_attributes([each.place.otherwise for each in declarations])),
    )
