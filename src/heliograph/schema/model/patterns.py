r"""Regular expressions that mean the same in Python and in ECMA 262, whose syntax JSON Schema uses.

An author writes a pattern in Python's syntax. The two languages differ: in Python ``\d`` also matches Arabic digits, and ``$`` also
matches before a line break at the end. Here a pattern has the meaning of ECMA 262 with the flag ``u``: ``\d``, ``\w``, ``\b`` and
`re.IGNORECASE` concern ASCII only, and ``$`` is the end of the text. `compile_pattern` is that meaning in Python, and
`ecma_pattern` writes it in the syntax of ECMA 262.

Source: ECMA 262, "Patterns"; Python's parser of regular expressions, `re._parser`, which `re` itself uses.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any, Final

try:
    from re import _parser as parser  # type: ignore[attr-defined]  # it has no public name
except ImportError:  # pragma: no cover — only Python 3.10
    import sre_parse as parser

_PORTABLE: Final = re.compile(
    r"""(?:
      [^\\\[\](){}.*+?^$|]                              # a character that is no syntax
    | \\[dDwWbBnrtfv\\.*+?^$|(){}\[\]/]                 # an escape that both have
    | \[\^?(?:[^\]\[\\]|\\[dDwWnrtfv\\\]\[^.$*+?(){}|/-])+\]
    | \((?:\?(?:[:=!]|<[=!])|(?!\?)) | \)
    | [|^$]
    | (?:[*+?]|\{\d+(?:,\d*)?\})\??(?![*+])
    )*""",
    re.VERBOSE,
)
"""Patterns that have the same meaning in both languages as they are."""

_CLASSES: Final = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
    # In ECMA 262, \s has more characters.
    "CATEGORY_SPACE": r" \t\n\r\f\v",
    "CATEGORY_NOT_SPACE": r"\x00-\x08\x0e-\x1f!-\uffff",
}
_POSITIONS: Final = {
    "AT_BEGINNING": "^",
    "AT_BEGINNING_STRING": "^",
    "AT_BOUNDARY": r"\b",
    "AT_NON_BOUNDARY": r"\B",
}


class _NotPortable(ValueError):
    """The pattern uses something that ECMA 262 does not have."""


@functools.lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Return the compiled pattern, with the meaning that it has in ECMA 262.

    >>> bool(compile_pattern(r"^\d$").search("٣")), bool(compile_pattern("^a$").search("a\n"))
    (False, False)
    """
    try:
        return re.compile(_written(pattern, r"\Z"), re.ASCII)
    except (ValueError, re.error):
        return re.compile(pattern)


@functools.lru_cache(maxsize=512)
def ecma_pattern(pattern: str) -> str | None:
    r"""Return the pattern in the syntax of ECMA 262, or `None` if it cannot be written there.

    >>> ecma_pattern("^[A-Z]{2}$"), ecma_pattern(r"\A(?P<year>[0-9]+)\-.\Z"), ecma_pattern("a++")
    ('^[A-Z]{2}$', '^([0-9]+)-[^\\n]$', None)
    """
    if _PORTABLE.fullmatch(pattern):
        return pattern
    try:
        return _written(pattern, "$")
    except (ValueError, re.error):
        return None


def parse_pattern(pattern: str) -> Any:
    """Return a pattern as Python's parser reads it: a sequence of items, each an operator and its argument.

    Raises:
        ValueError: It is too large or too deep.
        re.error: It is not a pattern.
    """
    return parser.parse(pattern, re.ASCII)


def item_pattern(operator: str, argument: Any) -> str:
    """Return the pattern of one parsed item, such as a set of characters.

    Raises:
        ValueError: ECMA 262 has no such item.
    """
    return _Writer("").item(operator, argument, 0)


def _written(pattern: str, end: str) -> str:
    tree = parse_pattern(pattern)
    return _Writer(end).sequence(tree, tree.state.flags)


class _Writer:
    """Writes a parsed pattern.

    Args:
        end: The syntax for the end of the text.
    """

    def __init__(self, end: str) -> None:
        self._end = end

    def sequence(self, items: Iterable[Any], flags: int) -> str:
        return "".join(self.item(str(operator), argument, flags) for operator, argument in items)

    def item(self, operator: str, argument: Any, flags: int) -> str:
        match operator:
            case "LITERAL":
                cases = _cases(argument, flags)
                return _escaped(argument) if len(cases) == 1 else f"[{cases}]"
            case "NOT_LITERAL":
                return f"[^{''.join(_escaped(ord(char), inside=True) for char in _cases(argument, flags))}]"
            case "ANY":
                return r"[\s\S]" if flags & re.DOTALL else r"[^\n]"
            case "IN":
                return _class(argument, flags)
            case "BRANCH":
                return f"(?:{'|'.join(self.sequence(each, flags) for each in argument[1])})"
            case "SUBPATTERN":
                return self._group(argument, flags)
            case "MAX_REPEAT" | "MIN_REPEAT":
                return self._repeat(argument, flags) + ("?" if operator == "MIN_REPEAT" else "")
            case "AT":
                return self._position(str(argument), flags)
            case "ASSERT" | "ASSERT_NOT":
                sign = ("<" if argument[0] < 0 else "") + ("=" if operator == "ASSERT" else "!")
                return f"(?:(?{sign}{self.sequence(argument[1], flags)}))"
            # Among others, a reference to a group: to one without a match, it matches in ECMA 262 only.
            case _:
                raise _NotPortable(operator)

    def _group(self, argument: tuple[int | None, int, int, Any], flags: int) -> str:
        number, added, removed, items = argument
        inside = self.sequence(items, (flags | added) & ~removed)
        return f"(?:{inside})" if number is None else f"({inside})"

    def _repeat(self, argument: tuple[int, Any, Any], flags: int) -> str:
        least, most, items = argument
        inside = self.sequence(items, flags)
        is_one = len(items) == 1 and str(items[0][0]) in {"LITERAL", "NOT_LITERAL", "ANY", "IN", "SUBPATTERN", "BRANCH"}
        upper = "" if str(most) == "MAXREPEAT" else str(most)
        count = f"{{{least}}}" if upper == str(least) else f"{{{least},{upper}}}"
        return (inside if is_one else f"(?:{inside})") + {"{0,}": "*", "{1,}": "+", "{0,1}": "?"}.get(count, count)

    def _position(self, position: str, flags: int) -> str:
        if flags & re.MULTILINE and position in {"AT_BEGINNING", "AT_END"}:
            return r"(?<![^\n])" if position == "AT_BEGINNING" else r"(?![^\n])"
        return _POSITIONS.get(position, self._end)


def _cases(code: int, flags: int) -> str:
    """Return the character, or both cases of it if case is ignored."""
    char = chr(code)
    return char.lower() + char.upper() if flags & re.IGNORECASE and char.isascii() and char.isalpha() else char


def _class(items: list[Any], flags: int) -> str:
    negated = str(items[0][0]) == "NEGATE"
    parts = [_class_item(str(operator), argument, flags) for operator, argument in items[negated:]]
    return f"[{'^' if negated else ''}{''.join(parts)}]"


def _class_item(operator: str, argument: Any, flags: int) -> str:
    match operator:
        case "LITERAL":
            return "".join(_escaped(ord(char), inside=True) for char in _cases(argument, flags))
        case "RANGE":
            first, last = argument
            written = f"{_escaped(first, inside=True)}-{_escaped(last, inside=True)}"
            letters = [char for char in map(chr, range(first, min(last, 127) + 1)) if char.isalpha()]
            swapped = "".join(char.swapcase() for char in letters) if flags & re.IGNORECASE else ""
            return written + swapped
        case "CATEGORY":
            if str(argument) == "CATEGORY_NOT_SPACE":
                return _CLASSES["CATEGORY_NOT_SPACE"] + "\U00010000-\U0010ffff"
            return _CLASSES[str(argument)]
        case _:  # pragma: no cover — a later Python may have more in a class, such as differences of sets
            raise _NotPortable(operator)


def _escaped(code: int, *, inside: bool = False) -> str:
    char = chr(code)
    if char in r"\^$.*+?()[]{}|" or (inside and char == "-"):
        return f"\\{char}"
    # Python warns of a set operation.
    if inside and char in "&~#":
        return f"\\x{code:02x}"
    return char if char.isprintable() or not char.isascii() else f"\\x{code:02x}"
