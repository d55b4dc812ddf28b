"""The body of an event's log record: a template, filled from attributes."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from heliograph.semconv import actor_attribute
from heliograph.values.attributes import Attributes
from heliograph.values.text import display


@dataclass(frozen=True, kw_only=True)
class MessageTemplate:
    """How the body of an event's log record is made.

    Attributes:
        parts: Literal text, each followed by the name of the attribute that comes after it, or `None`.
    """

    parts: tuple[tuple[str, str | None], ...]

    def render(self, attributes: Attributes) -> str:
        """The body of an event with these attributes; ``?`` stands for one that it does not have."""
        shown = (
            literal if attribute is None else f"{literal}{attributes.get(attribute, '?')}"
            for literal, attribute in self.parts
        )
        return display("".join(shown))

    @property
    def template(self) -> str:
        """The template, with the names of attributes in it: what those can read who know nothing of the class."""
        parts = ((literal.replace("{", "{{").replace("}", "}}"), attribute) for literal, attribute in self.parts)
        return "".join(literal if attribute is None else f"{literal}{{{attribute}}}" for literal, attribute in parts)


def parse_message(message: str, bases: Mapping[str, str]) -> MessageTemplate:
    """The body that a template stands for.

    Args:
        message: Text with ``{field}``, ``{field[key]}`` and ``{actor[key]}`` in it.
        bases: The attribute of each field, or the prefix of its attributes.

    Raises:
        ValueError: Says what of the template cannot be used.
    """
    return MessageTemplate(
        parts=tuple(
            (literal, None if path is None else _attribute(path, spec, conversion, bases))
            for literal, path, spec, conversion in string.Formatter().parse(message)
        )
    )


def _attribute(path: str, spec: str | None, conversion: str | None, bases: Mapping[str, str]) -> str:
    match = re.fullmatch(r"(\w+)((?:\[[^\[\]]+\])*)", path)
    if match is None or spec or conversion:
        raise ValueError(f"{{{path}}} is no plain field or key; write {{field}} or {{field[key]}}")
    first, keys = match[1], re.findall(r"\[([^\[\]]+)\]", match[2])
    if first == "actor" and keys:
        return ".".join((actor_attribute(keys[0]), *keys[1:]))
    if first not in bases:
        raise ValueError(f"there is no field {first!r}; there are {', '.join([*bases, 'actor[key]'])}")
    return ".".join((bases[first], *keys))
