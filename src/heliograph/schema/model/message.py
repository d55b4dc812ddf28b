"""The template of an event's body, which is filled from the event's attributes.

Attributes are already protected, so that a body cannot show a private value. The template is parsed once, when the class is
registered: a mistake in it is reported there, and not by an event.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heliograph.semconv import USER_EMAIL, USER_FULL_NAME, USER_HASH, USER_ID, USER_NAME, actor_attribute
from heliograph.values.attributes import Attributes
from heliograph.values.text import display


@dataclass(frozen=True, kw_only=True)
class MessageTemplate:
    """A parsed message.

    Attributes:
        parts: Pieces of literal text, each with the name of the attribute that follows it, or `None`.
    """

    parts: tuple[tuple[str, str | None], ...]

    def render(self, attributes: Attributes) -> str:
        """Return the body of an event that has these attributes.

        A missing attribute is ``?``; an actor who has none of the attributes that identify one is ``somebody``.
        """
        texts = (
            literal if attribute is None else f"{literal}{_value(attributes, attribute)}"
            for literal, attribute in self.parts
        )
        return display("".join(texts))

    @property
    def template(self) -> str:
        """The template with names of attributes instead of fields, for readers that do not have the class."""
        parts = ((literal.replace("{", "{{").replace("}", "}}"), attribute) for literal, attribute in self.parts)
        return "".join(literal if attribute is None else f"{literal}{{{attribute}}}" for literal, attribute in parts)


_IDENTITY: Final = (USER_ID, USER_NAME, USER_FULL_NAME, USER_EMAIL)


def _value(attributes: Attributes, name: str) -> object:
    value = attributes.get(name)
    if value is None and name == USER_ID:
        # The setting may ask for a hash.
        value = attributes.get(USER_HASH)
    if value is None:
        return "somebody" if name in _IDENTITY else "?"
    return value


def parse_message(message: str, attribute_names: Mapping[str, str]) -> MessageTemplate:
    """Parse the message of an event class.

    Args:
        message: Text that contains ``{field}``, ``{field[key]}`` and ``{actor[key]}``.
        attribute_names: The attribute of each field, or the prefix of its attributes, by the name of the field; of a field
            inside of a class, by its path, such as ``order.total``.

    Raises:
        ValueError: The message names something that is not a field, a key of a field or a key of the actor.
    """
    return MessageTemplate(
        parts=tuple(
            (literal, None if path is None else _attribute(path, spec, conversion, attribute_names))
            for literal, path, spec, conversion in string.Formatter().parse(message)
        )
    )


def _attribute(path: str, spec: str | None, conversion: str | None, attribute_names: Mapping[str, str]) -> str:
    match = re.fullmatch(r"(\w+)((?:\[[^\[\]]+\])*)", path)
    if match is not None and (spec or conversion):
        written = f"{{{path}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
        raise ValueError(f"{written} has a format, which a message cannot have; write {{{path}}}")
    if match is None:
        raise ValueError(f"{{{path}}} is not a field or a key; write {{field}} or {{field[key]}}")
    first, keys = match[1], re.findall(r"\[([^\[\]]+)\]", match[2])
    if first == "actor" and keys:
        return ".".join((actor_attribute(keys[0]), *keys[1:]))
    if first not in attribute_names:
        fields = [name for name in attribute_names if "." not in name]
        raise ValueError(f"there is no field {first!r}; use one of {', '.join([*fields, 'actor[key]'])}")
    names = [first, *keys]
    known = next(count for count in range(len(names), 0, -1) if ".".join(names[:count]) in attribute_names)
    return ".".join([attribute_names[".".join(names[:known])], *names[known:]])
