"""Read values that are legal but not common.

Such a value is a text or a container of a subclass, a container with an odd item, or a dict in the place of an object.

The generated function of an event class knows only exact classes. For a field with texts, containers or classes, one more function is
generated when the first value comes that is not common. It has the same source, for a type in which each class is a dict with the same
keys. Any other value becomes its form first, in which nothing is odd any more. A value that the function refuses is read by the
`FieldReader` of the field: it is invalid, or it is an odd value whose type is a text with a pattern, such as a date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from typing_extensions import TypedDict

from heliograph.runtime.program_errors import program_errors
from heliograph.schema.model.types import (
    ArrayType,
    MapType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    walk_types,
    without_null,
)
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.generated.attributes import ATTRIBUTES, AttributeWriter
from heliograph.schema.read.generated.declared_dicts import keyed
from heliograph.schema.read.generated.forms import SCALARS
from heliograph.schema.read.generated.source import Source
from heliograph.schema.read.validation import Violation
from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import Attributes
from heliograph.values.plain import plain_form
from heliograph.values.plain_attributes import forget, put_dict
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.standard_library import MAX_VALUES

Read = Callable[[Attributes, object, "list[Violation] | None"], None]
"""A function that adds a value of a field to attributes, and its violations to a list, if there is one."""
_Add = Callable[[Attributes, object, "list[object]"], None]
"""A function that adds a value to attributes, or to a list of those that it refuses."""
_CONTAINERS: Final = (ArrayType, MapType, ObjectType)
_FORMS: Final = frozenset({dict, list, str})
"""The classes of the forms that may be common for the function."""


class _Keys(TypedDict):
    """The class of the `TypedDict` by which dicts in the place of objects are read. Its keys are those of the schema."""


def other_values(reader: FieldReader, *, policy: PrivacyPolicy, known: Mapping[str, object]) -> Read:
    """Return the function that reads the values of a field that are not common.

    Args:
        reader: The reader of the field, which reads every value there can be.
        policy: The privacy policy.
        known: The values that all generated functions refer to.
    """
    kind = without_null(reader.field.type)
    is_odd_often = isinstance(kind, _CONTAINERS) or (isinstance(kind, StringType) and kind.python is str)
    return _OddValues(reader, kind, policy, known) if is_odd_often and reader.is_plain else reader


class _OddValues:
    """Reads the values of one field that are not common. Two threads may generate its function twice, which is harmless."""

    def __init__(
        self,
        reader: FieldReader,
        kind: Type,
        policy: PrivacyPolicy,
        known: Mapping[str, object],
    ) -> None:
        self._reader = reader
        self._kind = kind
        self._policy = policy
        self._known = known
        self._names = AttributeNames(reader.attribute, reader.reserved)
        self._has_objects = any(isinstance(each, ObjectType) for each in walk_types(kind))
        self._keys = _keys_of_scalars(kind)
        self._add: _Add | None = None

    def __call__(self, attributes: Attributes, value: object, violations: list[Violation] | None) -> None:
        """Do the same as the reader of the field."""
        size = len(attributes)
        try:
            is_read = self._read(attributes, value)
        except program_errors():
            # The value is not plain, or another thread changes it meanwhile.
            forget(attributes, size)
            is_read = False
        if not is_read:
            self._reader(attributes, value, violations)

    def _read(self, attributes: Attributes, value: object) -> bool:
        """Add a value to the attributes. Return False, or raise an exception, if the reader of the field has to read it."""
        first = value[0] if type(value) is list and value else value
        if self._has_objects and type(first) is dict:  # most of them need no forms
            if self._keys and type(value) is dict and len(value) > len(self._keys):
                return self._read_more_keys(attributes, value)
            if self._add_common(attributes, value):
                return True
        form = plain_form(value, [MAX_VALUES])
        return type(form) in _FORMS and self._add_common(attributes, form)

    def _read_more_keys(self, attributes: Attributes, value: dict[object, object]) -> bool:
        """Add a dict that has more keys than declared: those are flattened below the name of the whole value."""
        others = keyed(value)
        if others is None:
            return False
        declared = {key: others.pop(key) for key in self._keys if key in others}
        if not self._add_common(attributes, declared):
            return False
        put_dict(attributes, self._names, others, [MAX_VALUES - len(declared)])
        return True

    def _add_common(self, attributes: Attributes, value: object) -> bool:
        """Add a value, or return False if it is not common for the function, either."""
        if self._add is None:
            self._add = self._generate()
        refused: list[object] = []
        self._add(attributes, value, refused)
        return not refused

    def _generate(self) -> _Add:
        """Generate the function for values in which a dict is in the place of each object."""
        source, reader = Source(), self._reader
        of_dicts = FieldReader(
            replace(reader.field, type=_of_dicts(self._kind)), reader.attribute, self._policy, reader.reserved
        )
        writer = AttributeWriter(source, self._policy, reader.reserved, lambda _: _refuse)
        source.function("add", f"{ATTRIBUTES}, value, violations", writer.field_lines(of_dicts, "value"))
        names = source.compile(self._known)
        add: _Add = names["add_0"]
        return add


def _refuse(_: Attributes, value: object, refused: list[object]) -> None:
    refused.append(value)


def _keys_of_scalars(kind: Type) -> tuple[str, ...]:
    """Return the keys of a class, to which a dict may add more; none if a value is a container: what is in it would have to be counted, too."""
    if not isinstance(kind, ObjectType) or not all(
        isinstance(without_null(each.type), SCALARS) for each in kind.fields
    ):
        return ()
    return tuple(each.name for each in kind.fields)


def _of_dicts(kind: Type, parents: tuple[Type, ...] = ()) -> Type:
    """Return a type with a dict in the place of each class. A class inside of itself stays one there."""
    if kind in parents:
        return kind
    match kind:
        case ObjectType():
            parents = (*parents, kind)
            return ObjectType(
                python=_Keys, fields=tuple(replace(each, type=_of_dicts(each.type, parents)) for each in kind.fields)
            )
        case ArrayType():
            return replace(
                kind,
                python=list,
                prefix=tuple(_of_dicts(each, parents) for each in kind.prefix),
                items=None if kind.items is None else _of_dicts(kind.items, parents),
            )
        case MapType():
            return replace(kind, values=_of_dicts(kind.values, parents))
        case UnionType():
            return UnionType(options=tuple(_of_dicts(each, parents) for each in kind.options))
        case _:
            return kind
