"""Collect the constraints in the metadata of an annotation: msgspec's, those of `annotated_types`, and pydantic's.

All of them have attributes with the same names, so that one reading serves all. Anything else in the metadata is ignored.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

_PACKAGES: Final = frozenset({"msgspec", "annotated_types", "pydantic"})


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """The bounds of the values of a type. `None` means that there is no bound.

    Attributes:
        ge: The least value.
        gt: The number that every value is greater than.
        le: The greatest value.
        lt: The number that every value is less than.
        multiple_of: The number that every value is divisible by.
        patterns: Regular expressions that every text has a match for.
        min_length: The least number of characters, bytes, items or keys.
        max_length: The greatest number of them.
        tz: True if every time has an offset, False if none has.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None
    patterns: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    tz: bool | None = None

    def numeric(self) -> dict[str, Any]:
        """Return the bounds of a number."""
        return {name: getattr(self, name) for name in _NUMERIC}

    def lengths(self) -> dict[str, Any]:
        """Return the bounds of a length."""
        return {"min_length": self.min_length, "max_length": self.max_length}


_NUMERIC: Final = ("ge", "gt", "le", "lt", "multiple_of")
_LENGTHS: Final = ("min_length", "max_length")


def constraints_in(metadata: Iterable[object], outer: Constraints) -> Constraints:
    """Return the constraints of ``outer`` and of the metadata of an annotation inside of it."""
    found: dict[str, Any] = {}
    patterns: list[str] = []
    for each in _flat(metadata):
        found |= {name: float_or_int(value) for name in _NUMERIC if _is_number(value := getattr(each, name, None))}
        found |= {name: value for name in _LENGTHS if type(value := getattr(each, name, None)) is int}
        pattern = getattr(each, "pattern", None)
        patterns += [text] if isinstance(text := getattr(pattern, "pattern", pattern), str) and _compiles(text) else []
        tz = getattr(each, "tz", None)
        if isinstance(tz, bool):
            found["tz"] = tz
        elif type(each).__name__ == "Timezone":
            # The class is that of `annotated_types`, where `None` is a time without an offset.
            found["tz"] = tz is not None
    given = {name: value for name, value in vars(outer).items() if value is not None and name != "patterns"}
    return dataclasses.replace(outer, **found | given, patterns=(*outer.patterns, *patterns))


def _flat(metadata: Iterable[object]) -> Iterator[object]:
    """Yield the metadata of the known packages, and what is inside of a ``Field(…)`` of pydantic."""
    for each in metadata:
        if type(each).__module__.partition(".")[0] in _PACKAGES:
            yield each
            yield from _flat(getattr(each, "metadata", None) or ())


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool)


def float_or_int(value: Any) -> float:
    """Return a bound as a number that JSON can carry: a `Decimal` or a fraction as a float."""
    return value if type(value) in (int, float) else float(value)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        # pydantic's patterns are those of Rust, and Python does not know all of them.
        return False
    return True
