"""Turn the annotation of a field into its `Type` and its `Attribute`.

Classes with fields, unions and containers are read here, because msgspec refuses some of them, does not know pydantic's, and
loses their constraints. msgspec only checks that constraints apply to a type, so its message is shown if they do not.
"""

from __future__ import annotations

import array
import collections
import collections.abc
import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
import typing_extensions
from msgspec import inspect

from heliograph.events import Attribute, Privacy
from heliograph.schema.compile.class_fields import ClassField, fields_of_class
from heliograph.schema.compile.constraints import Constraints, constraints_in
from heliograph.schema.compile.declared_types import attribute_problems
from heliograph.schema.compile.texts import text_type
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
    options_of,
)
from heliograph.semconv import ACTOR_ONLY
from heliograph.values.declared_attributes import attributes_in, merge_declarations, with_pydantic_privacy
from heliograph.values.fields import is_named_tuple
from heliograph.values.forms import form_of
from heliograph.values.generics import (
    annotated,
    bind,
    class_of,
    container_arguments,
    is_parameter,
    meaning_of,
    substitute,
)
from heliograph.values.stored import MAX_CACHED_CLASSES

MAX_DEPTH: Final = 64
"""The depth of types inside of one another. ``type Tree = list[Tree]`` has no end, nor has a class with ever longer arguments."""
_MAX_FLAG_BITS: Final = 6
"""The number of flags whose combinations are listed. More of them are a range of numbers."""


class InvalidAnnotation(ValueError):
    """An annotation that a schema cannot express, or whose declaration contradicts itself."""


def read_type(hint: object) -> Type:
    """Return the type that an annotation describes.

    Raises:
        InvalidAnnotation: The annotation has no form in JSON. The message says how to change it.
    """
    return _read_class(hint) if isinstance(hint, type) else _read_hint(hint)


def _read_hint(hint: object) -> Type:
    try:
        return _TypeBuilder().build(hint)
    except InvalidAnnotation:
        raise
    except Exception as error:
        # msgspec raises TypeError, but evaluating an annotation may raise anything.
        raise InvalidAnnotation(f"{error}; annotate it more simply, or as `Any`") from error


# Only classes are cached: other annotations cannot always be hashed, and most fields have one of few classes.
_read_class = functools.lru_cache(maxsize=MAX_CACHED_CLASSES)(_read_hint)


def attribute_of(hint: object) -> Attribute:
    """Return the `Attribute` in an annotation, or an empty one if there is none.

    Several around one type are merged, because a generic class and the argument of its parameter may both have one.

    Raises:
        InvalidAnnotation: There are several, around different parts of the annotation.
    """
    found = attributes_in(hint, in_arguments=False)
    around = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Attribute)]
    if len(found) > 1 and not all(any(each is other for other in around) for each in found):
        raise InvalidAnnotation("it has more than one `Attribute`; put one around the whole type of the field")
    return found[0] if len(found) == 1 else merge_declarations(around)


def declaration_of(field: ClassField) -> Attribute:
    """Return the declaration of a field, with the privacy that pydantic asks for.

    Raises:
        InvalidAnnotation: There are several, or an argument of one has a wrong type.
    """
    problems = [
        problem
        for declared in attributes_in(field.hint, in_arguments=False)
        for problem in attribute_problems(declared, field.name)
    ]
    if problems:
        raise InvalidAnnotation("; ".join(problems))
    return with_pydantic_privacy(attribute_of(field.hint), field.hint, field.description)


class _TypeBuilder:
    """Builds the type of one annotation."""

    def __init__(self) -> None:
        # A class may be inside of itself, so its type is kept before its fields are built.
        self._objects: list[tuple[object, ObjectType]] = []
        self._parents: list[ObjectType] = []
        self._depth = 0

    def build(self, hint: Any, constraints: Constraints = Constraints()) -> Type:  # noqa: B008 — it is immutable
        """Return the type that an annotation describes, within constraints from around it."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise InvalidAnnotation(
                    "it contains itself without end; put a class in between, or annotate it as `Any`"
                )
            return self._build(hint, constraints)
        finally:
            self._depth -= 1

    def _build(self, hint: Any, constraints: Constraints) -> Type:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            _check_metadata(hint.__metadata__)
            _check_constraints(arguments[0], hint.__metadata__)
            return self.build(arguments[0], constraints_in(hint.__metadata__, constraints))
        inner = _behind_names(hint, origin, arguments)
        if inner is not hint:
            return self.build(inner, constraints)
        if origin is typing.Union or isinstance(hint, types.UnionType):
            return self._union(arguments, constraints)
        if origin in {typing.Literal, typing_extensions.Literal}:
            return _enum(tuple(map(form_of, arguments)))
        if hint is None or hint is type(None):
            return NullType()
        if hint is Any or hint is typing_extensions.Any or hint is object:
            return AnyType()
        cls = class_of(hint)
        if cls is not None:
            return self._class(hint, cls, constraints)
        return self._special(hint)

    def _special(self, hint: Any) -> Type:
        """Return the type of an annotation that only means something inside of a class."""
        is_own_class = type(hint).__name__ == "PydanticRecursiveRef" or hint is typing_extensions.Self
        if is_own_class and self._parents:
            return self._parents[-1]
        if isinstance(hint, Attribute):
            raise InvalidAnnotation(
                "an Attribute is not a type; write Annotated[str, Attribute(…)], with the type of the field"
            )
        raise InvalidAnnotation(f"{hint!r} has no form in JSON; use another type, or `Any`")

    def _union(self, hints: tuple[object, ...], constraints: Constraints) -> Type:
        built = (self.build(hint, constraints) for hint in hints if hint is not msgspec.UnsetType)
        options = tuple(dict.fromkeys(option for each in built for option in options_of(each)))
        has_classes = any(isinstance(option, ObjectType) for option in options)
        # The fields of a class may be private, so the class is not forgotten.
        if AnyType() in options and not has_classes:
            return AnyType()
        return UnionType(options=options) if len(options) > 1 else options[0]

    def _class(self, hint: Any, cls: type, constraints: Constraints) -> Type:
        # The order is that of `heliograph.values.forms`: an enum may be a `str` too, and text and bytes are sequences.
        if issubclass(cls, BaseException):
            return StringType(python=cls)
        if issubclass(cls, enum.Enum):
            return _enum_of(cls)
        if typing_extensions.is_typeddict(cls):
            return self._object(hint, cls)
        if is_named_tuple(cls):
            return self._named_tuple(hint, cls)
        if issubclass(cls, bool):
            return BooleanType()
        if issubclass(cls, int):
            return IntegerType(**constraints.numeric())
        if issubclass(cls, float):
            return NumberType(**constraints.numeric())
        if cls is msgspec.msgpack.Ext:
            raise InvalidAnnotation("Ext has no form in JSON; use another type, or `Any`")
        return (
            text_type(cls, constraints)
            or self._container(hint, cls, constraints)
            or (self._object(hint, cls) if fields_of_class(hint) is not None else AnyType())
        )

    def _container(self, hint: Any, cls: type, constraints: Constraints) -> Type | None:
        """Return the type of an array or of a dict, or `None` if values of the class are neither."""
        base, arguments = next(iter(container_arguments(hint)), (cls, ()))
        if issubclass(cls, collections.abc.Mapping):
            # Without arguments, keys and values may be anything. `Counter` has one argument, for its keys.
            keys, values = (*(arguments if len(arguments) <= 2 else ()), Any, Any)[:2]  # noqa: PLR2004 — keys, values
            kind = IntegerType() if issubclass(cls, collections.Counter) else self.build(values)
            return MapType(keys=_key_type(self.build(keys)), values=kind, **constraints.lengths())
        if base is tuple and arguments[1:] != (...,) and (arguments or hint == tuple[()]):
            return self._tuple(arguments)
        if not issubclass(cls, _ARRAYS):
            return None
        items = self.build(arguments[0] if arguments else Any)
        return ArrayType(items=items, python=_array_class(cls), **constraints.lengths())

    def _tuple(self, arguments: tuple[object, ...]) -> ArrayType:
        if any(is_parameter(each) or typing.get_origin(each) is typing_extensions.Unpack for each in arguments):
            return ArrayType(items=AnyType(), python=tuple)  # its length is not known
        return _tuple_type(tuple(map(self.build, arguments)))

    def _named_tuple(self, hint: Any, cls: type) -> Type:
        fields = fields_of_class(hint) or ()
        # Its form is an array, which has no names for declarations.
        if any(attributes_in(field.hint, in_arguments=False) for field in fields):
            raise InvalidAnnotation(
                f"{cls.__name__} is a named tuple, whose fields cannot have an `Attribute`; make it a dataclass"
            )
        return _tuple_type(tuple(self.build(field.hint) for field in fields), cls)

    def _object(self, hint: Any, cls: type) -> ObjectType:
        for known, kind in self._objects:
            if known is hint or known == hint:
                return kind
        kind = ObjectType(python=cls, hint=hint)
        self._objects.append((hint, kind))
        self._parents.append(kind)
        fields = tuple(map(self._field, fields_of_class(hint) or ()))
        self._parents.pop()
        # This is the only change. The type is frozen from now on.
        object.__setattr__(kind, "fields", fields)
        return kind

    def _field(self, field: ClassField) -> FieldSchema:
        attribute, actor_attribute = split_actor_attribute(declaration_of(field))
        if attribute.requirement == "opt_in" and attribute.name is None:
            raise InvalidAnnotation(
                f"its inner field {field.name!r} is opt_in and has no attribute name of its own to opt in by; give it one"
            )
        return FieldSchema(
            name=field.name,
            attribute=attribute.name,
            type=self.build(field.hint),
            required=field.is_required,
            declared=attribute,
            actor_attribute=actor_attribute,
        )


def split_actor_attribute(declared: Attribute) -> tuple[Attribute, str | None]:
    """Return a declaration without its name, and the name, if the name always means the actor, such as ``user.id``.

    The field then gets its name from the event or from the field that it is inside of.
    """
    if declared.name not in ACTOR_ONLY:
        return declared, None
    return dataclasses.replace(declared, name=None), str(declared.name)


_ARRAY_CLASSES: Final[frozenset[type]] = frozenset({array.array, collections.deque, collections.UserList, range})
"""The classes of the standard library that are neither lists, tuples nor sets."""
_ARRAYS: Final = (collections.abc.Sequence, collections.abc.Set, collections.abc.Collection)


def _array_class(cls: type) -> type:
    if cls in _ARRAY_CLASSES:
        return cls
    if issubclass(cls, collections.abc.Set):
        return frozenset if cls is frozenset else set
    if issubclass(cls, tuple):
        return tuple
    if issubclass(cls, collections.abc.Sequence):
        return list
    # A value that is declared as a `Collection` may be of any class. Generated code reads one of the class that is returned here the fastest,
    # and all others with the same result.
    return frozenset


def _behind_names(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> Any:
    """Return the type that a named type, a type parameter or a qualifier such as `Final` stands for, or the hint itself."""
    if is_parameter(hint):
        return meaning_of(hint)
    if hasattr(hint, "__supertype__"):
        return hint.__supertype__
    if type(origin).__name__ == "TypeAliasType":
        return substitute(origin.__value__, bind(origin.__type_params__, arguments))
    if type(hint).__name__ == "TypeAliasType":
        return hint.__value__
    if hint is typing_extensions.LiteralString:
        return str
    return arguments[0] if origin in _QUALIFIERS else hint


_QUALIFIERS: Final = frozenset(
    getattr(module, name)
    for module in (typing, typing_extensions)
    for name in ("Final", "Required", "NotRequired", "ReadOnly")
    if hasattr(module, name)
)


def _check_metadata(metadata: tuple[object, ...]) -> None:
    """Reject what looks like a declaration and is none: its author would believe that a value is protected."""
    for each in metadata:
        if isinstance(each, Privacy):
            raise InvalidAnnotation(
                f"Privacy.{each.name} alone protects nothing; write Attribute(privacy=Privacy.{each.name})"
            )
        if each is Attribute:
            raise InvalidAnnotation("the class Attribute alone declares nothing; write Attribute(…)")


def _check_constraints(hint: object, metadata: tuple[object, ...]) -> None:
    """Raise msgspec's `TypeError` if its constraints do not apply to a type, such as ``ge`` to `str`."""
    metas = tuple(each for each in metadata if isinstance(each, msgspec.Meta))
    if metas and isinstance(hint, type) and hint in _CHECKED:
        inspect.type_info(annotated(hint, metas))


_CHECKED: Final[frozenset[type]] = frozenset({bool, int, float, str, bytes, list, dict, set, tuple})


def _enum_of(cls: type[enum.Enum]) -> Type:
    if issubclass(cls, enum.Flag):
        return _flag_type(cls)
    members = list(cls)
    if not members:
        raise InvalidAnnotation(f"its enum {cls.__name__} has no members; give it some, or annotate it as `Any`")
    return _enum(tuple(map(form_of, members)), python=cls, names=tuple(member.name for member in members))


def _flag_type(cls: type[enum.Flag]) -> Type:
    """Return the type of flags: each combination of them, and none of them."""
    # Python 3.10 keeps a member such as ``ALL = -1`` as it is.
    names = {member._value_: name for name, member in cls.__members__.items() if member._value_ >= 0}
    mask = functools.reduce(lambda first, second: first | second, names, 0)
    bits = [1 << index for index in range(mask.bit_length()) if mask & 1 << index]
    if len(bits) > _MAX_FLAG_BITS:
        return IntegerType(ge=0, le=mask)
    combinations = [0]
    for bit in bits:
        combinations += [value | bit for value in combinations]
    return EnumType(
        values=tuple(combinations),
        python=cls,
        names=tuple(names.get(value) or _combined_name(value, bits, names) for value in combinations),
    )


def _combined_name(value: int, bits: list[int], names: Mapping[int, str]) -> str:
    return "_".join(names.get(bit, f"BIT_{bit}") for bit in bits if value & bit) or "NONE"


def _enum(values: tuple[Any, ...], **kwargs: Any) -> EnumType:
    if any(isinstance(value, (list, dict)) for value in values):
        raise InvalidAnnotation("its enum has values that are not scalars; give its members texts or numbers")
    return EnumType(values=values, **kwargs)


def _tuple_type(prefix: tuple[Type, ...], python: type = tuple) -> ArrayType:
    return ArrayType(items=None, prefix=prefix, python=python, min_length=len(prefix), max_length=len(prefix))


def _key_type(kind: Type) -> StringType | EnumType:
    """Return the type of the text that a key of a dict becomes."""
    if isinstance(kind, AnyType):
        return StringType()
    if isinstance(kind, StringType):
        return kind
    if isinstance(kind, EnumType) and all(isinstance(value, str) for value in kind.values):
        return kind
    if kind == BooleanType():
        return EnumType(values=("true", "false"))
    if kind == IntegerType():
        return StringType(patterns=(WHOLE_NUMBER,))
    raise InvalidAnnotation(
        "its dict has keys that are neither texts, nor whole numbers, nor `Any`; use one of these for the keys"
    )
