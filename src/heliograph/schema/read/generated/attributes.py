"""The source that adds the common values of one field to the attributes of an event."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Final

from typing_extensions import assert_never

from heliograph.events import Privacy
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    options_of,
    walk_types,
    without_null,
)
from heliograph.schema.model.wire_attributes import becomes_json_text, expands, wire_type
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.generated.forms import SCALARS, FormWriter, is_plain_array, is_plain_map, reading
from heliograph.schema.read.generated.maps import MapWriter, refused_if_many
from heliograph.schema.read.generated.source import Source, Steps, all_of, any_of, block, indented
from heliograph.values.attribute_names import AttributeNames
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.standard_library import MAX_VALUES

ATTRIBUTES: Final = "attributes"
"""The variable of the attributes of the event."""
_ADDED: Final = "added"
"""The variable of the attributes of an object. They are added to those of the event after nothing can raise any more."""


class AttributeWriter:
    """Writes the statements that add the attributes of one field. It is used for one field: `field_lines` changes it.

    Args:
        source: The source that constants and helper functions are added to.
        policy: The privacy policy.
        reserved: Names that no key of a dict may take.
        other_values: Returns the function that reads the values of a field that are not common.
    """

    def __init__(
        self,
        source: Source,
        policy: PrivacyPolicy,
        reserved: frozenset[str],
        other_values: Callable[[FieldReader], object],
    ) -> None:
        self._source = source
        self._forms = FormWriter(source, policy)
        self._unprotected = FormWriter(source, None)
        self._maps = MapWriter(source, self._forms)
        self._reserved = reserved
        self._other_values = other_values
        self._target = ATTRIBUTES

    def field_lines(self, reader: FieldReader, variable: str) -> list[str]:
        """Return the statements for one field of the event, whatever its value is: common ones here, others by its reader."""
        read = f"{self._source.constant('read', self._other_values(reader))}({ATTRIBUTES}, {variable}, violations)"
        kind = without_null(reader.field.type)
        steps = self._field_steps(kind, variable, reader)
        if steps is None:
            return [read]
        is_optional = kind is not reader.field.type
        write = careful_lines if steps.may_raise else plain_lines
        return write(steps, read, variable, is_optional=is_optional)

    def _field_steps(self, kind: Type, variable: str, reader: FieldReader) -> Steps | None:
        if reader.privacy is not Privacy.PLAIN or not (isinstance(kind, ObjectType) and expands(kind)):
            return self._steps(kind, variable, reader.attribute, reader.privacy)
        if all(_form_is_certain(each) for each in walk_types(kind)):
            return self._object(kind, variable, reader.attribute)
        self._target = _ADDED
        steps = self._object(kind, variable, reader.attribute)
        if steps is None:
            return None
        return steps._replace(lines=[f"{_ADDED} = {{}}", *steps.lines, f"{ATTRIBUTES}.update({_ADDED})"])

    def _steps(self, kind: Type, variable: str, name: str, privacy: Privacy) -> Steps | None:
        """Return the source for a value that is not `None`, or `None` if it has no common case that is worth the source."""
        if privacy is not Privacy.PLAIN:
            return self._private(kind, variable, name, privacy)
        if isinstance(kind, ObjectType) and expands(kind):
            return self._object(kind, variable, name)
        # Inside of an object that collects its attributes first, the value is only a part of the property.
        is_whole = self._target == ATTRIBUTES
        if isinstance(kind, AnyType) and is_whole:
            return self._any(variable, name)
        if isinstance(kind, MapType) and not kind.is_json_text:
            return self._map(kind, variable, name)
        if isinstance(kind, ArrayType) and wire_type(kind) == "string":
            code = self._forms.json_code_of(kind, variable, is_whole=is_whole)
        else:
            code = self._forms.code_of(kind, variable, is_wire=True, is_whole=is_whole)
        if code is None:
            return None
        line, may_raise = self._assignment(kind, variable, code.form, name)
        return Steps(code.test, [line], code.may_raise or may_raise, uses_room=code.uses_room)

    def _any(self, variable: str, name: str) -> Steps:
        """Return the source for a value of any type that is a whole property."""
        names = self._names(name)
        lines = [
            f"kind = type({variable})",
            *block("if kind is dict:", *self._maps.any_items(variable, names, self._target)),
            *block("elif kind is list:", f"{self._target}[{name!r}] = list_attribute({variable}, [MAX_VALUES])"),
            *block(
                f"elif (add := {names}.adders.get(kind)) is not None:",
                f"add({self._target}, {variable}, [MAX_VALUES])",
                *refused_if_many(self._target),
            ),
            *block("else:", f"put_value({self._target}, {name!r}, {names}, {variable}, [MAX_VALUES])"),
        ]
        return Steps("True", lines, may_raise=True, is_gradual=True)

    def _private(self, kind: Type, variable: str, name: str, privacy: Privacy) -> Steps | None:
        """Return the source for a value that is protected as a whole. It is tested, too, so that violations are reported."""
        code = self._unprotected.code_of(kind, variable)
        if code is None:
            return None
        if any(isinstance(option, AnyType) for option in options_of(kind)):  # `None` is never protected
            return None
        makes_form = privacy is Privacy.HASH or not _is_always_valid(kind)
        # Only a hash needs the form. Otherwise it is made to find out if the value is valid.
        lines = [code.form] if makes_form and privacy is not Privacy.HASH else []
        if privacy is not Privacy.DROP:
            lines.append(f"{self._target}[{name!r}] = {self._forms.protected(kind, code.form, privacy)}")
        return Steps(code.test, lines or ["pass"], code.may_raise, uses_room=makes_form and code.uses_room)

    def _assignment(self, kind: Type, variable: str, form: str, name: str) -> tuple[str, bool]:
        """Return the statement that adds a value by its declared type, and True if it can raise an exception."""
        match kind:
            case AnyType():
                return f"put_value({self._target}, {name!r}, {self._names(name)}, {variable}, room)", True
            case MapType():
                return f"put_json({self._target}, {name!r}, {form})", True
            case ObjectType():
                return f"put_dict_form({self._target}, {self._names(name)}, {form})", True
            case ArrayType() if is_plain_array(kind) and kind.python in _LISTS:
                items = _LISTS[kind.python].format(variable)
                return f"{self._target}[{name!r}] = list_attribute({items}, room)", True
            case ArrayType():
                return f"{self._target}[{name!r}] = {_array_form(kind, form)}", True
            case UnionType() if becomes_json_text(kind):
                return f"{self._target}[{name!r}] = json_unless_text({form})", True
            case UnionType() if not all(isinstance(option, _SCALARS) for option in kind.options):
                return f"put_form({self._target}, {name!r}, {self._names(name)}, {form})", True
            case BooleanType() | NumberType() | StringType() | EnumType() | UnionType():
                return f"{self._target}[{name!r}] = {form}", False
            case NullType():
                return "pass", False
            case _:
                assert_never(kind)

    def _map(self, kind: MapType, variable: str, name: str) -> Steps | None:
        """Return the source for a dict whose keys become attributes of their own."""
        steps = self._maps.steps(kind, variable, self._names(name), self._target)
        if steps is None:
            return None
        if self._target != ATTRIBUTES:
            return steps._replace(lines=[f"size = len({_ADDED})", *steps.lines], is_gradual=False)
        if is_plain_map(kind):  # whatever is in another mapping is valid, too
            other = f"put_mapping({self._target}, {self._names(name)}, {variable})"
            return steps._replace(
                test="True", lines=[*block(f"if {steps.test}:", *steps.lines), *block("else:", other)]
            )
        return steps

    def _names(self, name: str) -> str:
        """Return the constant of the names below an attribute."""
        return self._source.constant("names", AttributeNames(name, self._reserved))

    def _object(self, kind: ObjectType, variable: str, name: str) -> Steps | None:
        """Return the source for an object whose fields become attributes of their own."""
        test = self._forms.object_test(kind, variable)
        if test is None:
            return None
        tests, lines, uses_room = [test], [], False
        for field, inner, access, privacy in self._forms.object_fields(kind, variable):
            steps = self._steps(without_null(field.type), inner, field.attribute_below(name), privacy)
            if steps is None:
                return None
            absent = self._forms.absent_tests(field, inner)
            tests.append(reading(inner, access, [*absent, steps.test]))
            lines += [f"if not ({any_of(absent)}):", *indented(steps.lines)] if absent else steps.lines
            uses_room = uses_room or steps.uses_room
        return Steps(all_of(tests), lines, may_raise=True, uses_room=uses_room)


def _form_is_certain(kind: Type) -> bool:
    """Return True if nothing can raise any more once a value was tested: it is its own form, or an object of such values."""
    return isinstance(kind, (ObjectType, UnionType, *_SCALARS)) and not (
        isinstance(kind, StringType) and kind.python is not str
    )


def _is_always_valid(kind: Type) -> bool:
    """Return True if every value of the class that was tested for is valid, so that no form has to be made to find out."""
    return isinstance(kind, _SCALARS) or (isinstance(kind, MapType) and is_plain_map(kind))


_SCALARS = (*SCALARS, NullType)
_FIRST: Final = f"{{}}[:{MAX_VALUES + 1}]"
"""The expression of the first items, and of one more, by which `list_attribute` notices that there are too many."""
_LISTS: Final = {list: "{}", tuple: "{}", range: _FIRST, array.array: f"{_FIRST}.tolist()"}
"""The expressions of the items of containers, as a list or tuple or what can be copied like these."""


def _array_form(kind: ArrayType, form: str) -> str:
    """Return the expression of a list as an attribute: an array of scalars of one type, or JSON text."""
    match wire_type(kind):
        case "string":
            return f"json_of({form}).decode()"
        case "any":
            return f"array_or_json({form})"
        case _:
            return form


def plain_lines(steps: Steps, read: str, variable: str, *, is_optional: bool) -> list[str]:
    """Return the statements for a field whose common values need no function that could raise."""
    otherwise = f"elif {variable} is not None and {variable} is not UNSET:" if is_optional else "else:"
    return [f"if {steps.test}:", *indented(steps.lines), otherwise, *indented([read])]


def careful_lines(steps: Steps, read: str, variable: str, *, is_optional: bool) -> list[str]:
    """Return the statements for a field that its reader reads if anything raises an exception."""
    room = ["room = [MAX_VALUES]"] if steps.uses_room else []
    size, forget = ([f"size = len({ATTRIBUTES})"], [f"forget({ATTRIBUTES}, size)"]) if steps.is_gradual else ([], [])
    lines = [*room, *steps.lines]
    if steps.test != "True":
        lines = [*block(f"if {steps.test}:", *lines), *block("else:", read)]
    lines = [
        *size,
        *block("try:", *lines),
        # A reader raises nothing: what is caught here was raised before it was called.
        "except program_errors():",
        *indented([*forget, read]),
    ]
    is_set = f"if {variable} is not None and {variable} is not UNSET:"
    return [is_set, *indented(lines)] if is_optional else lines
