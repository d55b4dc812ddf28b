"""The source that flattens a dict: it adds an attribute for each key, and raises `NotPlain` for one that is not common.

The attributes are added one after the other, because to collect them elsewhere first costs as much as all the tests. Whoever
catches the exception forgets them.
"""

from __future__ import annotations

from typing import Final

from heliograph.schema.model.types import ArrayType, BooleanType, IntegerType, MapType, StringType, Type
from heliograph.schema.read.generated import scalars
from heliograph.schema.read.generated.forms import SCALARS, FormWriter, broken_bounds, is_plain_map
from heliograph.schema.read.generated.source import Code, Source, all_of, indented
from heliograph.values.attributes import MAX_DEPTH, MAX_KEYS

_REFUSED: Final = indented(["raise NotPlain"])
_UNIFORM: Final = (BooleanType, IntegerType, StringType)
"""The types of items whose forms all have one class, so that a list of them is an attribute as it is."""


class MapWriter:
    """Writes the statements that flatten dicts.

    Args:
        source: The source that constants and helper functions are added to.
        forms: Writes the source of keys and values.
    """

    def __init__(self, source: Source, forms: FormWriter) -> None:
        self._source = source
        self._forms = forms

    def lines(self, kind: MapType, variable: str, names: str, target: str) -> list[str] | None:
        """Return the statements that add a dict, or `None` if it has no common case that is worth the source.

        They expect the number of attributes so far in the variable ``size``.

        Args:
            kind: The type of the dict.
            variable: The variable that has it.
            names: The constant with the names of its keys.
            target: The variable of the attributes.
        """
        if is_plain_map(kind):
            lines: list[str] | None = self._any_items(variable, names, target)
        else:
            lines = self._items(kind, variable, names, target, level=1)
        return None if lines is None else [*lines, f"if None in {target}:", *_REFUSED]

    def _any_items(self, variable: str, names: str, target: str) -> list[str]:
        """Return the statements that add values of any type: scalars one by one, and all of them again if one is no scalar."""
        is_scalar = scalars.plain_scalar_test("item", self._source)
        flatten = [f"flatten({target}, {names}, copy, [MAX_VALUES])", *_refused_if_many(target), "break"]
        return [
            f"if len({variable}) >= {MAX_KEYS}:",
            *_REFUSED,
            f"copy = {variable}.copy()",
            "for key, item in copy.items():",
            *indented([f"if type(key) is str and ({is_scalar}):", *indented([f"{target}[{names}[key]] = item"])]),
            # `None` below a name that a key has is omitted.
            *indented([f"elif item is not None or type(key) is not str or {names}[key] is None:"]),
            *indented(indented(flatten)),
        ]

    def _items(self, kind: MapType, variable: str, names: str, target: str, *, level: int) -> list[str] | None:
        """Return the statements that add values of one type, each of which has so many keys that lead to it."""
        key = self._forms.key_code(kind)
        if key is None:
            return None
        value = self._value(kind.values, key.form, names, target, level)
        if value is None:
            return None
        # A text that cannot be part of a name has none.
        is_key = "type(key) is str" if kind.keys == StringType() else key.test
        is_refused = [f"len({variable}) >= {MAX_KEYS}", *broken_bounds(kind, variable)]
        count, end = [], []
        if level > 1 or "room" in f"{value.test}{value.form}":
            count, is_refused = [f"room[0] -= len({variable})"], ["room[0] < 0", *is_refused]
            end = _refused_if_many(target) if level == 1 else []
        return [
            *count,
            f"if {' or '.join(is_refused)}:",
            *_REFUSED,
            f"for key, item in {variable}.copy().items():",
            *indented([f"if not ({all_of([is_key, value.test])}):", *_REFUSED]),
            *indented([value.form]),
            *end,
        ]

    def _value(self, kind: Type, key: str, names: str, target: str, level: int) -> Code | None:
        """Return the test of a value, and in place of its form the statement that adds it under a key."""
        if isinstance(kind, MapType) and not is_plain_map(kind) and not kind.is_json_text and level < MAX_DEPTH:
            return self._inner_map(kind, key, names, target, level)
        code = self._forms.code_of(kind, "item")
        if code is None:
            return None
        if isinstance(kind, SCALARS) or (isinstance(kind, ArrayType) and isinstance(kind.items, _UNIFORM)):
            return code._replace(form=f"{target}[{names}[{key}]] = {code.form}")
        return code._replace(form=f"put_inner({target}, {names}, {key}, {code.form}, {level})")

    def _inner_map(self, kind: MapType, key: str, names: str, target: str, level: int) -> Code | None:
        lines = self._items(kind, "values", "names", "attributes", level=level + 1)
        if lines is None:
            return None
        function = self._source.function("flatten", "attributes, names, values, room", lines)
        return Code("type(item) is dict", f"{function}({target}, {names}.below({key}), item, room)", may_raise=True)


def _refused_if_many(target: str) -> list[str]:
    return [f"if len({target}) - size >= {MAX_KEYS}:", *_REFUSED]
