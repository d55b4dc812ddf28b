"""The source that flattens a dict: it adds an attribute for each key, and raises `NotPlain` for one that is not common.

The attributes are added one after the other, because to collect them elsewhere first is slower. Whoever catches the exception
forgets them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from heliograph.schema.model.types import WHOLE_NUMBER, ArrayType, BooleanType, IntegerType, MapType, StringType
from heliograph.schema.read.generated.forms import (
    SCALARS,
    FormWriter,
    broken_bounds,
    is_plain_map,
    reading,
)
from heliograph.schema.read.generated.source import Source, Steps, all_of, block
from heliograph.values.attributes import MAX_DEPTH, MAX_KEYS
from heliograph.values.scalars import PLAIN_SCALAR

_UNIFORM: Final = (BooleanType, IntegerType, StringType)
"""The types of items whose forms all have one class, so that a list of them is an attribute as it is."""

_REMEMBERED: Final = (StringType(), StringType(patterns=(WHOLE_NUMBER,)))
"""The types of keys whose names are remembered by the key itself. Equal times, for example, may have different texts."""


class _Part(NamedTuple):
    """The source for the common dicts of a type, or for the common values of such a dict. It is always a part of `Steps`.

    Attributes:
        test: The condition under which a value is common.
        lines: The statements that then add its attributes.
        uses_room: True if a statement counts down the variable ``room``.
    """

    test: str
    lines: list[str]
    uses_room: bool


class MapWriter:
    """Writes the statements that flatten dicts.

    Args:
        source: The source that constants and helper functions are added to.
        forms: Writes the source of keys and values.
    """

    def __init__(self, source: Source, forms: FormWriter) -> None:
        self._source = source
        self._forms = forms

    def steps(self, kind: MapType, variable: str, names: str, target: str) -> Steps | None:
        """Return the source for a dict, or `None` if it has no common case that is worth the source.

        Its statements expect the number of attributes so far in the variable ``size``.

        Args:
            kind: The type of the dict.
            variable: The variable that has it.
            names: The constant with the names of its keys.
            target: The variable of the attributes.
        """
        if is_plain_map(kind):
            lines = self.any_items(variable, names, target)
            return Steps(_is_dict(variable), lines, may_raise=True, is_gradual=True)
        part = self._items(kind, variable, names, target, level=1)
        if part is None:
            return None
        return Steps(part.test, part.lines, may_raise=True, is_gradual=True, uses_room=part.uses_room)

    def any_items(self, variable: str, names: str, target: str) -> list[str]:
        """Return the statements that add a dict with values of any type. They expect ``size``, as those of `steps` do.

        Scalars are added here, other values by functions.
        """
        flatten = block("if kind is dict:", f"flatten({target}, {names}.below(key), item, left)")
        put = block("else:", f"put_item({target}, {names}, key, item, left)")
        add = block(f"if {PLAIN_SCALAR}:", *_adding("item", names, target))
        other = block(
            "elif item is not None or key not in known:", "left = left or [MAX_VALUES - len(copy)]", *flatten, *put
        )
        return [
            *block(f"if len({variable}) >= {MAX_KEYS}:", "raise NotPlain"),
            f"copy, known, left = {variable}.copy(), {names}.known, None",
            *block(
                "for key in copy:",
                *block("if type(key) is not str:", "raise NotPlain"),
                "item = copy[key]",
                "kind = type(item)",
                *add,
                *other,
            ),
            *block("if left is not None:", *refused_if_many(target)),
        ]

    def _items(self, kind: MapType, variable: str, names: str, target: str, *, level: int) -> _Part | None:
        """Return the source for a dict with values of one type. `level` is the number of keys that lead to each of them."""
        key = self._forms.key_code(kind)
        if key is None:
            return None
        value = self._value(kind, key.form, names, target, level)
        if value is None:
            return None
        # Only the class of a text is tested: `AttributeNames.name` raises `NotPlain` for one that cannot be part of a name.
        is_key = "type(key) is str" if kind.keys == StringType() else key.test
        is_refused = [f"len({variable}) >= {MAX_KEYS}", *broken_bounds(kind, variable)]
        count, end = [], []
        uses_room = level > 1 or value.uses_room
        if uses_room:
            count, is_refused = [f"room[0] -= len({variable})"], ["room[0] < 0", *is_refused]
            end = refused_if_many(target) if level == 1 else []
        if kind.keys in _REMEMBERED:  # a look-up is faster than the pairs, but runs the code that hashes the key
            each, value_test = "for key in copy:", reading("item", "copy[key]", [value.test])
        else:
            each, value_test = "for key, item in copy.items():", value.test
        lines = [
            *count,
            *block(f"if {' or '.join(is_refused)}:", "raise NotPlain"),
            f"copy, known = {variable}.copy(), {names}.known",
            *block(each, *block(f"if not ({all_of([is_key, value_test])}):", "raise NotPlain"), *value.lines),
            *end,
        ]
        return _Part(_is_dict(variable), lines, uses_room)

    def _value(self, outer: MapType, key: str, names: str, target: str, level: int) -> _Part | None:
        """Return the source for the values of a dict, which are in the variable ``item``. `key` is the expression of the form of a key."""
        kind = outer.values
        if isinstance(kind, MapType) and not is_plain_map(kind) and not kind.is_json_text and level < MAX_DEPTH:
            return self._inner_map(kind, key, names, target, level)
        code = self._forms.code_of(kind, "item")
        if code is None:
            return None
        if isinstance(kind, SCALARS) or (isinstance(kind, ArrayType) and isinstance(kind.items, _UNIFORM)):
            if outer.keys in _REMEMBERED:
                lines = _adding(code.form, names, target, key)
            else:
                lines = [f"{target}[{names}.name({key})] = {code.form}"]
        else:
            lines = [f"put_inner({target}, {names}, {key}, {code.form})"]
        return _Part(code.test, lines, code.uses_room)

    def _inner_map(self, kind: MapType, key: str, names: str, target: str, level: int) -> _Part | None:
        inner = self._items(kind, "values", "names", "attributes", level=level + 1)
        if inner is None:
            return None
        function = self._source.function("flatten", "attributes, names, values, room", inner.lines)
        return _Part(_is_dict("item"), [f"{function}({target}, {names}.below({key}), item, room)"], inner.uses_room)


def _is_dict(variable: str) -> str:
    return f"type({variable}) is dict"


def refused_if_many(target: str) -> list[str]:
    """Return the statements that refuse a value that became too many attributes, since there were ``size`` of them."""
    return block(f"if len({target}) - size >= {MAX_KEYS}:", "raise NotPlain")


def _adding(form: str, names: str, target: str, key: str = "key") -> list[str]:
    """Return the statements that add an attribute. The name of a key is almost always remembered."""
    # `AttributeNames` remembers the name of a text by itself. The name of an integer is remembered here, by the integer.
    name = f"{names}.name(key)" if key == "key" else f"known.setdefault(key, {names}.name({key}))"
    return [
        *block("try:", "name = known[key]"),
        *block("except KeyError:", f"name = {name}"),
        f"{target}[name] = {form}",
    ]
