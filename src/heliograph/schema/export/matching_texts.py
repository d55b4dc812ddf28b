"""Make texts that match a pattern, for examples of values.

A parsed pattern is followed item by item, with a number of repetitions and a choice among its alternatives. The texts are candidates: what
stands before or after an item, such as ``(?!a)``, is not considered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from heliograph.schema.model.patterns import item_pattern, parse_pattern

_SAMPLES: Final = "a0A_- .:/@,;x1Z#~é…"
"""Characters that are tried where a pattern permits many."""

_MOST: Final = 100
"""The greatest number of repetitions in an example."""


def matching_texts(pattern: str, least: int = 0) -> Iterator[str]:
    """Yield texts that probably match a pattern, short ones first. The caller checks them.

    Args:
        pattern: The pattern.
        least: The least length that is wanted.
    """
    try:
        tree = parse_pattern(pattern)
    except (ValueError, re.error):
        return
    for count in dict.fromkeys((1, 0, 2, 3, 8, min(least, _MOST))):
        for choice in range(3):
            yield _sample(tree, count, choice, {})


def _sample(items: Any, count: int, choice: int, groups: dict[int, str]) -> str:
    """Return a text that the parsed pattern may match.

    Args:
        items: The parsed pattern.
        count: The number of repetitions that is wanted.
        choice: The index of the alternative that is wanted.
        groups: The texts of the groups so far.
    """
    return "".join(_sample_item(str(operator), argument, count, choice, groups) for operator, argument in items)


def _sample_item(operator: str, argument: Any, count: int, choice: int, groups: dict[int, str]) -> str:
    match operator:
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL" | "ANY" | "IN":
            test = re.compile(item_pattern(operator, argument))
            first = [chr(item[1][0]) for item in argument if str(item[0]) == "RANGE"] if operator == "IN" else []
            single = [chr(item[1]) for item in argument if str(item[0]) == "LITERAL"] if operator == "IN" else []
            return next((char for char in [*first, *_SAMPLES, *single] if test.match(char)), "")
        case "BRANCH":
            options = argument[1]
            return _sample(options[choice % len(options)], count, choice, groups)
        case "SUBPATTERN":
            groups[argument[0] or 0] = _sample(argument[3], count, choice, groups)
            return groups[argument[0] or 0]
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inside = argument
            upper = _MOST if str(most) == "MAXREPEAT" else int(most)
            return _sample(inside, count, choice, groups) * min(max(int(least), min(count, upper)), _MOST)
        case "ATOMIC_GROUP":
            return _sample(argument, count, choice, groups)
        case "GROUPREF":
            return groups.get(int(argument), "")
        case _:
            return ""
