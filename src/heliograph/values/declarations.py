"""Find the `Attribute` declarations that apply to a value, and to the values inside of it.

They come from the class of the value, from the alias that made it, such as ``Box[Secret]``, and from the annotation of the field that it is in.

An object of ``Box[Secret]`` often does not know its type argument: `typing` stores the alias in the object, which needs a dict that can be
changed. The annotation of the field that holds the object knows the argument, too. It is kept as a `Place` while the value of that field is
read. If neither knows the argument, because the class cannot keep an alias, the argument may ask for any privacy. Fields whose type is a
type parameter are then masked.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import is_typeddict

from heliograph.classes import ancestors
from heliograph.events import Attribute
from heliograph.values import pydantic_fields
from heliograph.values.converters import RegisteredConverter, converter_of
from heliograph.values.declared_attributes import attributes_in, merge_declarations, parts_of, with_pydantic_privacy
from heliograph.values.fields import (
    UNKNOWN,
    arguments_if_unknown,
    cached_by_hint,
    field_hints,
    field_names,
    is_named_tuple,
    type_of,
)
from heliograph.values.generics import annotations_of, class_of, is_generic
from heliograph.values.reports import report_unknown_arguments
from heliograph.values.standard_library import MAX_VALUES, Pairs, Unordered


@dataclass(frozen=True, kw_only=True)
class Place:
    """The generic classes that the annotation around a value names.

    Attributes:
        aliases: The aliases of each generic class in the annotation, such as ``Box[Secret]``, by class.
        otherwise: The declarations in the arguments of these aliases. They apply to a value that is not an object of these classes.
        is_typed: True if the form of the value is later compared with a declared type that contains no `Any`. The parts that do not fit
            are protected then.
    """

    aliases: Mapping[type, tuple[object, ...]] = field(default_factory=dict)
    otherwise: Attribute = Attribute()
    is_typed: bool = False

    def hints_of(self, value: object) -> tuple[object, ...]:
        """Return the aliases that may describe a value in this place, or its class if there is none."""
        hint = type_of(value)
        around = self.aliases.get(type(value), ())
        return around or (hint,) if hint is type(value) else (hint, *around)

    def describes(self, value: object) -> bool:
        """Return True if a value is an object of these classes, or `None`, or a container of nothing else."""
        queue = [value]
        for each in queue:  # the loop adds to it
            if each is None or self._has_class(type(each)):
                continue
            content = _content(each)
            if content is None or len(queue) + len(content) > MAX_VALUES:
                return False
            queue += content
        return True

    def _has_class(self, cls: Any) -> bool:
        # A subclass of a generic class may have set no argument, so its objects may be of any alias.
        return cls in self.aliases or any(base in self.aliases and not is_generic(base) for base in ancestors(cls))


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
"""The place of a value whose annotation is unknown."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The declarations that apply to one value, or to one field of an object.

    Attributes:
        attribute: The declaration for the whole value.
        place: The declarations for the values inside of it, if its form is later compared with a declared type.
        untyped: The declarations for the values inside of it, if its form is not compared, because it is in a field of type `Any`.
            `Place.otherwise` then has the declarations of all private classes in the annotation, because a dict or a text may be where
            one of their objects is expected.
    """

    attribute: Attribute = Attribute()
    place: Place = NOWHERE
    untyped: Place = NOWHERE

    @property
    def is_empty(self) -> bool:
        """True if nothing is declared."""
        return not (is_private(self.attribute) or self.place.aliases or is_private(self.untyped.otherwise))


def is_private(attribute: Attribute) -> bool:
    """Return True if a declaration affects what is exported of a value."""
    return attribute.privacy is not None or attribute.requirement == "opt_in"


def field_declarations(hints: tuple[object, ...]) -> Mapping[str, Declaration]:
    """Return the declarations for the fields of an object, by name, merged from all aliases that may describe it.

    Fields without declarations are absent.
    """
    found: list[Mapping[str, Declaration]] = [_field_declarations(hint) for hint in hints]
    if len(found) == 1:
        return found[0]
    names = dict.fromkeys(itertools.chain(*found))
    return {name: _merged([each[name] for each in found if name in each]) for name in names}


@cached_by_hint
def _field_declarations(hint: object) -> Mapping[str, Declaration]:
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
        declared = _of_annotation(annotation)
        attribute = with_pydantic_privacy(declared.attribute, annotation, described)
        return dataclasses.replace(declared, attribute=attribute)
    except Exception:
        # An annotation may be any expression.
        return Declaration(attribute=UNKNOWN)


def value_declaration(hints: tuple[object, ...]) -> Declaration:
    """Return the declarations for a value without fields, such as an object of ``class Tags(list[Secret])``."""
    return _merged([_value_declaration(hint) for hint in hints])


def declares_nothing(cls: type) -> bool:
    """Return True if nothing is declared for the values of a class without fields, and for what is inside of them."""
    return value_declaration((cls,)).is_empty


@cached_by_hint
def _value_declaration(hint: object) -> Declaration:
    cls = class_of(hint)
    try:
        if cls is not None and is_named_tuple(cls):
            hints = annotations_of(hint, cls._fields, arguments=arguments_if_unknown(hint))  # type: ignore[attr-defined]
            return _merged([_of_annotation(each) for each in hints.values()])
        return _of_annotation(hint)
    except Exception:
        # An annotation may be any expression.
        return Declaration(attribute=UNKNOWN)


def _of_annotation(annotation: object) -> Declaration:
    attribute = merge_declarations(attributes_in(annotation, in_arguments=False))
    place = _place_of(annotation)
    return Declaration(attribute=attribute, place=place, untyped=_untyped_place_of(annotation, place))


def _place_of(annotation: object) -> Place:
    aliases: dict[type, tuple[object, ...]] = {}
    parts = list(parts_of(annotation, in_arguments=False))
    for part in parts:
        cls = class_of(part)
        if cls is not None and typing.get_args(part) and is_generic(cls) and not is_typeddict(cls):
            aliases[cls] = (*aliases.get(cls, ()), part)
    # In the place of `Any`, there may be an object of the same class that another alias made.
    if any(part is Any or part is object for part in parts):
        aliases = {cls: (*hints, cls) for cls, hints in aliases.items()}
    inside = attributes_in(annotation) if aliases else []
    return Place(aliases=aliases, otherwise=merge_declarations(inside)) if aliases else NOWHERE


def _untyped_place_of(annotation: object, place: Place) -> Place:
    private = _private_inside(annotation, [])
    if not private:
        return place
    aliases: dict[type, tuple[object, ...]] = {}
    for part in parts_of(annotation, in_arguments=False):
        cls = class_of(part)
        if cls is not None and field_names(cls) is not None:
            aliases[cls] = place.aliases.get(cls, (part,))
    return Place(aliases=aliases, otherwise=merge_declarations([*private, place.otherwise]))


def _private_inside(annotation: object, seen: list[object]) -> list[Attribute]:
    """Return the declarations of all private fields of the classes in an annotation, at any depth."""
    found: list[Attribute] = []
    for part in parts_of(annotation, in_arguments=False):
        cls = class_of(part)
        names = None if cls is None else cls.__annotations__ if is_typeddict(cls) else field_names(cls)
        if names is None or part in seen:
            continue
        if len(seen) >= _MAX_CLASSES:
            return [*found, UNKNOWN]
        seen.append(part)
        described = pydantic_fields.fields_of(cls)  # type: ignore[arg-type]  # it has names, so it is a class
        for name, hint in field_hints(part, tuple(names)).items():
            declared = merge_declarations(attributes_in(hint, in_arguments=False))
            declared = with_pydantic_privacy(declared, hint, described.get(name))
            found += [declared] if is_private(declared) else _private_inside(hint, seen)
    return found


_MAX_CLASSES: Final = 64
"""The number of classes inside of one annotation that are looked at. A class may be inside of itself with ever longer arguments."""


def _merged(declarations: list[Declaration]) -> Declaration:
    if len(declarations) == 1:
        return declarations[0]
    return Declaration(
        attribute=merge_declarations([each.attribute for each in declarations]),
        place=_merged_places([each.place for each in declarations]),
        untyped=_merged_places([each.untyped for each in declarations]),
    )


def _merged_places(places: list[Place]) -> Place:
    aliases: dict[type, tuple[object, ...]] = {}
    for place in places:
        for cls, hints in place.aliases.items():
            aliases[cls] = (*aliases.get(cls, ()), *hints)
    return Place(aliases=aliases, otherwise=merge_declarations([place.otherwise for place in places]))
