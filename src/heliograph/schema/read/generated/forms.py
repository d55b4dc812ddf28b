"""The source that makes the forms of common values, for every type.

`FormWriter.code_of` is the entry point. A container needs a loop, so its form is made by a helper function, which raises `NotPlain` for an
item that is not common. Every other form is one expression.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Final

import msgspec
from typing_extensions import assert_never, is_typeddict

from heliograph.events import Privacy
from heliograph.schema.model.types import (
    WHOLE_NUMBER,
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    has_private_parts,
    is_nullable,
    without_null,
)
from heliograph.schema.model.wire_attributes import wire_type
from heliograph.schema.read.generated import scalars
from heliograph.schema.read.generated.source import Code, Source, all_of, any_of, indented
from heliograph.values.fields import field_names
from heliograph.values.generics import is_generic
from heliograph.values.plain import MAX_PLAIN_NESTING
from heliograph.values.privacy import MASKED, PrivacyPolicy
from heliograph.values.pydantic_fields import is_secret
from heliograph.values.scalars import WRITTEN_BY_MSGSPEC
from heliograph.values.stored import has_instance_dict, reads_plainly

_COPIED: Final = frozenset({list, tuple, set, frozenset, collections.deque, range})
"""The classes of arrays that are copied in one step of the interpreter."""


class FormWriter:
    """Writes the source of forms.

    Args:
        source: The source that constants and helper functions are added to.
        policy: The privacy policy. `None` exports private fields inside of classes as they are.
    """

    def __init__(self, source: Source, policy: PrivacyPolicy | None) -> None:
        self._source = source
        self._policy = policy
        # The types that the current one is inside of.
        self._parents: tuple[Type, ...] = ()
        # The form becomes JSON text, which cannot be made of a text with lone surrogates.
        self._is_json = False

    def code_of(self, kind: Type, variable: str, *, is_wire: bool = False, is_whole: bool = False) -> Code | None:
        """Return the source for the common values of a type, or `None` if it has no common case that is worth the source.

        Args:
            kind: The type.
            variable: The variable that has the value.
            is_wire: True for the form in the one type that an attribute has on the wire, as far as numbers are concerned.
            is_whole: True if the value is a whole property, so that nothing else counts towards the limit of its values.
        """
        if kind in self._parents or len(self._parents) == MAX_PLAIN_NESTING:
            return None
        parents, self._parents = self._parents, (*self._parents, kind)
        try:
            return self._code_of(kind, variable, is_wire=is_wire, is_whole=is_whole)
        finally:
            self._parents = parents

    def json_code_of(self, kind: Type, variable: str, *, is_whole: bool) -> Code | None:
        """Return the source for the common values of a type whose form becomes JSON text.

        A text with lone surrogates raises when the JSON is made.
        """
        self._is_json = True
        try:
            return self.code_of(kind, variable, is_whole=is_whole)
        finally:
            self._is_json = False

    def _code_of(self, kind: Type, variable: str, *, is_wire: bool, is_whole: bool) -> Code | None:
        match kind:
            case StringType() if self._is_json and kind == StringType():
                return Code(f"type({variable}) is str", variable)
            case StringType():
                return scalars.string_code(kind, variable, self._source)
            case BooleanType():
                return scalars.boolean_code(variable)
            case IntegerType():
                return scalars.integer_code(kind, variable, self._source)
            case NumberType():
                return scalars.number_code(kind, variable, self._source, is_wire=is_wire)
            case EnumType():
                return scalars.enum_code(kind, variable, self._source)
            case NullType():
                return Code(f"{variable} is None", "None")
            case AnyType():
                return Code("True", f"plain_form({variable}, room)", may_raise=True, uses_room=True)
            case UnionType():
                return self._union(kind, variable, is_wire=is_wire)
            case ArrayType():
                is_wire = is_wire and wire_type(kind) != "string"
                return self._array(kind, variable, is_wire=is_wire, is_whole=is_whole)
            case MapType():
                return self._map(kind, variable)
            case ObjectType():
                return self._object(kind, variable)
            case _:
                assert_never(kind)

    def _union(self, kind: UnionType, variable: str, *, is_wire: bool) -> Code | None:
        # One value may fit several options, and is then protected as each of them requires. This source would protect it
        # as one.
        if has_private_parts(kind):
            return None
        wire = wire_type(kind) if is_wire else ""
        # Each option is a list of such numbers. The items of an attribute's array must have one class, and the source of an
        # option does not see to that here.
        if wire in {"int[]", "double[]"}:
            return None
        is_double = wire == "double"
        options = [self.code_of(option, variable, is_wire=is_double) for option in kind.options]
        codes = [each for each in options if each is not None]
        if len(codes) < len(options):
            return None
        if is_double:
            codes = [_as_double(option, code) for option, code in zip(kind.options, codes)]
        return _first_of(codes)

    def _array(self, kind: ArrayType, variable: str, *, is_wire: bool, is_whole: bool) -> Code | None:
        if kind.prefix:
            return self._tuple(kind, variable, is_wire=is_wire, is_whole=is_whole)
        if is_plain_array(kind):
            is_exact = self._is_exactly(kind.python, variable)
            return Code(is_exact, f"plain_form({variable}, room)", may_raise=True, uses_room=True)
        if kind.python not in _COPIED or kind.items is None:
            return None
        item = self.code_of(kind.items, "item", is_wire=is_wire)
        if item is None:
            return None
        uses_room = not is_whole or item.uses_room
        body = [
            "copy = [*values]",
            *(_counted(kind) if uses_room else _counted_alone(kind)),
            *_forms_of_items(kind.items, item),
            # A set has no order. Its forms are sorted, so that equal sets become equal attributes.
            "return sorted(forms, key=json_of)" if kind.python in {set, frozenset} else "return forms",
        ]
        return self._helper("array", kind.python, body, variable, uses_room=uses_room)

    def _tuple(self, kind: ArrayType, variable: str, *, is_wire: bool, is_whole: bool) -> Code | None:
        names = [f"item_{index}" for index in range(len(kind.prefix))]
        codes = [self.code_of(each, name, is_wire=is_wire) for each, name in zip(kind.prefix, names)]
        found = [code for code in codes if code is not None]
        if len(found) < len(codes) or not _is_within_bounds(len(codes), kind):
            return None
        uses_room = not is_whole or any(code.uses_room for code in found)
        count = [f"room[0] -= {len(names)}", "if room[0] < 0:", *indented(["raise NotPlain"])] if uses_room else []
        body = [
            *count,
            # Another number of items raises an exception, too.
            f"{', '.join(names)}, = {'values' if kind.python is tuple else 'items_of_tuple(values)'}",
            f"if not ({all_of(code.test for code in found)}):",
            *indented(["raise NotPlain"]),
            f"return [{', '.join(code.form for code in found)}]",
        ]
        return self._helper("array", kind.python, body, variable, uses_room=uses_room)

    def _helper(self, name: str, python: type, body: list[str], variable: str, *, uses_room: bool) -> Code:
        """Return the source for a container whose form is made by a function of its own, with this body."""
        room = ", room" if uses_room else ""
        form = f"{self._source.function(name, f'values{room}', body)}({variable}{room})"
        return Code(self._is_exactly(python, variable), form, may_raise=True, uses_room=uses_room)

    def _is_exactly(self, python: type, variable: str) -> str:
        name = python.__name__ if python in {list, tuple, dict} else self._source.constant("class", python)
        return f"type({variable}) is {name}"

    def _map(self, kind: MapType, variable: str) -> Code | None:
        if is_plain_map(kind):
            return Code(f"type({variable}) is dict", f"dict_form({variable}, room)", may_raise=True, uses_room=True)
        key = self.key_code(kind)
        value = self.code_of(kind.values, "item")
        if key is None or value is None:
            return None
        body = [
            "copy = values.copy()",
            *_counted(kind),
            "forms = {}",
            "for key, item in copy.items():",
            *indented([f"if not ({all_of([key.test, value.test])}):", *indented(["raise NotPlain"])]),
            *indented([f"forms[{key.form}] = {value.form}"]),
            "return forms",
        ]
        return self._helper("map", dict, body, variable, uses_room=True)

    def key_code(self, kind: MapType) -> Code | None:
        """Return the source for the keys of a map. Different keys of one class never become the same text."""
        if kind.keys == StringType():
            # A lone surrogate could equal its own escape.
            return Code("type(key) is str and (key.isascii() or key.isprintable())", "key")
        if kind.keys == StringType(patterns=(WHOLE_NUMBER,)):
            return Code(scalars.integer_code(IntegerType(), "key", self._source).test, "str(key)")
        if isinstance(kind.keys, StringType) and kind.keys.python not in {str, *WRITTEN_BY_MSGSPEC}:
            return None
        return self.code_of(kind.keys, "key")

    # Objects

    def object_fields(
        self, kind: ObjectType, variable: str, privacy: Privacy = Privacy.PLAIN
    ) -> Iterator[tuple[FieldSchema, str, str, Privacy]]:
        """Yield each field of a class with the variable for its value, the expression that reads it, and its privacy."""
        for field in kind.fields:
            inner = self._source.name("value")
            yield field, inner, self._access(kind, variable, field), self.privacy_of(field, privacy)

    def privacy_of(self, field: FieldSchema, enclosing: Privacy) -> Privacy:
        """Return the privacy of a field inside of a value with a privacy."""
        if self._policy is None:
            return Privacy.PLAIN
        return self._policy.privacy_of(field.declared, field.attribute, enclosing=enclosing)

    def _access(self, kind: ObjectType, variable: str, field: FieldSchema) -> str:
        if not is_typeddict(kind.python):
            return f"{variable}.{field.name}"
        return f"copy_{variable}[{field.name!r}]" if field.required else f"copy_{variable}.get({field.name!r}, ABSENT)"

    def object_test(self, kind: ObjectType, variable: str) -> str | None:
        """Return the condition that a value is exactly of a class, and has its fields. Return `None` if they cannot be read."""
        names = tuple(field.name for field in kind.fields)
        if is_typeddict(kind.python):
            return self._typed_dict_test(kind, f"copy_{variable} := keyed({variable})", variable)
        # If the schema does not know each field of the class, the others would be missing among the attributes.
        if field_names(kind.python) != names or not reads_plainly(kind.python, names):
            return None
        test = f"type({variable}) is {self._source.constant('class', kind.python)}"
        # An object of a generic class may remember the alias that made it. Another alias may have fields of other types.
        if is_generic(kind.python) and has_instance_dict(kind.python):
            aliases = self._source.constant("aliases", (None, kind.hint))
            return f"{test} and {variable}.__dict__.get('__orig_class__') in {aliases}"
        return test

    def _typed_dict_test(self, kind: ObjectType, copying: str, variable: str) -> str:
        """Return the condition that a value is a dict with the declared keys. All keys of its copy are texts."""
        copy = f"copy_{variable}"
        required = [f"{field.name!r} in {copy}" for field in kind.fields if field.required]
        if len(required) == len(kind.fields):
            has_known_keys = f"len({copy}) == {len(required)}"
        else:
            has_known_keys = f"{copy}.keys() <= {self._source.constant('keys', {field.name for field in kind.fields})}"
        return " and ".join([f"type({variable}) is dict", f"({copying})", has_known_keys, *required])

    def _object(self, kind: ObjectType, variable: str) -> Code | None:
        """Return the source for an object inside of JSON text, or in the place of a whole value."""
        test = None if is_generic(kind.python) else self.object_test(kind, variable)
        if test is None:
            return None
        tests, forms, uses_room = [test], {}, False
        for field, inner, access, privacy in self.object_fields(kind, variable):
            code = self._field(field, inner, access, privacy)
            if code is None:
                return None
            tests.append(code.test)
            # A field that is dropped has no key in the form.
            if privacy is not Privacy.DROP:
                forms[field.name] = code.form
                uses_room = uses_room or code.uses_room
        form = f"{{{', '.join(f'{name!r}: {each}' for name, each in forms.items())}}}"
        if is_typeddict(kind.python):
            form = f"in_order(copy_{variable}, {form})"
        elif self._is_json and not any(name.startswith("__") for name in forms):
            # msgspec makes a struct, and writes it, in half of the time of a dict with the same keys. Names with two
            # underscores before them are left out: Python mangles `__name`, and others have a meaning, such as `__dict__`.
            struct = msgspec.defstruct("Form", list(forms), gc=False)
            form = f"{self._source.constant('struct', struct)}({', '.join(forms.values())})"
        return Code(all_of(tests), form, may_raise=True, uses_room=uses_room)

    def _field(self, field: FieldSchema, variable: str, access: str, privacy: Privacy) -> Code | None:
        """Return the source for a field inside of an object: its test reads it, and its form is protected."""
        kind = without_null(field.type)
        code = self.code_of(kind, variable)
        if code is None or not self.can_protect(kind, privacy):
            return None
        absent = self.absent_tests(field, variable)
        form = self.protected(kind, code.form, privacy)
        for each in absent:
            form = f"(None if {each} else {form})"
        return code._replace(test=reading(variable, access, [*absent, code.test]), form=form)

    def absent_tests(self, field: FieldSchema, variable: str) -> list[str]:
        """Return the conditions under which a field of an object legally has no value."""
        tests = (
            [f"{variable} is None"] if is_nullable(field.type) and without_null(field.type) is not field.type else []
        )
        return tests if field.required else [f"{variable} is ABSENT", *tests]

    def can_protect(self, kind: Type, privacy: Privacy) -> bool:
        """Return True if a privacy can be applied to the form of a value, although nothing else of the value is known."""
        if privacy is Privacy.PLAIN:
            return True
        # The form of any value may be `None`, which is never protected. To know if a container is valid, its form is made.
        return not isinstance(kind, (AnyType, UnionType, ArrayType, MapType, ObjectType))

    def protected(self, kind: Type, form: str, privacy: Privacy) -> str:
        """Return the expression of the exported part of a form that is not `None`."""
        match privacy:
            case Privacy.MASK:
                return repr(MASKED)
            case _ if isinstance(kind, StringType) and is_secret(kind.python):  # it is protected already
                return form
            case Privacy.HASH if isinstance(kind, StringType):  # its form has no surrogates
                return f"hash_bytes({form}.encode())"
            case Privacy.HASH if isinstance(kind, IntegerType):
                return f"hash_bytes(b'%d' % {form})"
            case Privacy.HASH:
                return f"hash_text({form})"
            case Privacy.PLAIN | Privacy.DROP:
                return form
            case _:
                assert_never(privacy)


SCALARS: Final = (BooleanType, NumberType, StringType, EnumType)
"""The types of values with nothing inside of them."""


def is_plain_array(kind: ArrayType) -> bool:
    """Return True if every value of the class of a type is a value of the type."""
    return kind == ArrayType(items=AnyType(), python=kind.python)


def is_plain_map(kind: MapType) -> bool:
    """Return True if every dict is a value of a type."""
    return kind == MapType(keys=StringType(), values=AnyType(), is_json_text=kind.is_json_text)


def reading(variable: str, access: str, tests: list[str]) -> str:
    """Return the condition that one of several tests holds for a value. The first mention of its variable reads it."""
    condition = any_of(tests)
    value = f"{variable} := {access}"
    if variable not in condition:
        return f"(({value}), {condition})[1]"
    before, _, after = condition.partition(variable)
    return f"{before}{value}{after}" if before.endswith("type(") else f"{before}({value}){after}"


def _counted_alone(kind: ArrayType) -> list[str]:
    """Return the lines that test the length of a copy, which has nothing to count inside of its items."""
    tests = ["len(copy) > MAX_VALUES", *broken_bounds(kind, "copy")]
    return [f"if {' or '.join(tests)}:", *indented(["raise NotPlain"])]


def _counted(kind: ArrayType | MapType) -> list[str]:
    """Return the lines that count what is in a container, and test its length."""
    tests = ["room[0] < 0", *broken_bounds(kind, "copy")]
    return ["room[0] -= len(copy)", f"if {' or '.join(tests)}:", *indented(["raise NotPlain"])]


def _forms_of_items(kind: Type, item: Code) -> list[str]:
    """Return the lines that make a list of the forms of the items in a copy."""
    # All texts are tested together, since almost all are their own forms.
    if kind == StringType():
        test = "type(item) is str"
        # A surrogate is not printable.
        is_form = "(text := ''.join(copy)).isascii() or text.isprintable()"
        forms = f"copy if {is_form} else [*map(escape_surrogates, copy)]"
    elif item.form == "item":
        test, forms = item.test, "copy"
    else:
        refuse = [f"if not ({item.test}):", *indented(["raise NotPlain"])]
        return ["forms = []", "for item in copy:", *indented([*refuse, f"forms.append({item.form})"])]
    return ["for item in copy:", *indented([f"if not ({test}):", *indented(["raise NotPlain"])]), f"forms = {forms}"]


def _is_within_bounds(length: int, kind: ArrayType) -> bool:
    return (kind.min_length or 0) <= length and (kind.max_length is None or length <= kind.max_length)


def broken_bounds(kind: ArrayType | MapType, variable: str) -> list[str]:
    """Return the conditions that a length is not within the bounds of a type."""
    return [f"not {each}" for each in scalars.length_tests(kind, variable)]


def _as_double(option: Type, code: Code) -> Code:
    if wire_type(option) != "int":
        return code
    is_exact = f"{-scalars.EXACT_FLOAT} <= {code.form} <= {scalars.EXACT_FLOAT}"
    return code._replace(test=f"{code.test} and {is_exact}", form=f"{code.form} * 1.0")


def _first_of(codes: list[Code]) -> Code:
    """Return the source for a value that is common for one of several types: the first of them makes its form."""
    form = codes[-1].form
    for code in reversed(codes[:-1]):
        form = form if code.form == form else f"({code.form} if {code.test} else {form})"
    return Code(
        f"({any_of(code.test for code in codes)})",
        form,
        may_raise=any(code.may_raise for code in codes),
        uses_room=any(code.uses_room for code in codes),
    )
