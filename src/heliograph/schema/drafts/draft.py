"""Drafts of event classes, and the names that they may have in Python."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from heliograph.events import Attribute, EventOptions

Member: TypeAlias = "tuple[str, str | int]"

IMPORTED: Final = frozenset(
    {
        "Annotated",
        "Any",
        "Attribute",
        "Deprecated",
        "Enum",
        "Event",
        "Literal",
        "Privacy",
        "Severity",
        "dataclass",
        "dt",
        "uuid",
    }
)
"""The names that a module of drafts may import."""

HIDING: Final = IMPORTED | {"bool", "dict", "float", "int", "list", "str"}
"""The names that a field must not have, since it would hide them from the annotations of its class."""

INHERITED: Final = frozenset({"actor", "created", "name", "properties", "upcast"})
"""What every event has under a name already."""


@dataclass(frozen=True, kw_only=True)
class FieldDraft:
    """A field of a class.

    Attributes:
        name: Its name, an identifier.
        annotation: Its type, as it is written; without ``| None``.
        required: Whether it has no default; else it may be `None`, and is by default.
        declared: What it says of itself.
    """

    name: str
    annotation: str
    required: bool
    declared: Attribute = field(default_factory=Attribute)


@dataclass(frozen=True, kw_only=True)
class EnumDraft:
    """An `Enum`.

    Attributes:
        name: The name of the class.
        members: Names and values.
    """

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class ClassDraft:
    """A dataclass inside of an event.

    Attributes:
        name: The name of the class.
        fields: Its fields.
    """

    name: str
    fields: tuple[FieldDraft, ...]


@dataclass(frozen=True, kw_only=True)
class EventDraft(ClassDraft):
    """An event class.

    Attributes:
        event_name: The event's name, as written: ``"ban-user"``.
        brief: What happened, on one line.
        note: More than that.
        options: The keywords of the class statement.
        needs: The classes that its fields need.
    """

    event_name: str
    brief: str = ""
    note: str = ""
    options: EventOptions = EventOptions()
    needs: tuple[EnumDraft | ClassDraft, ...] = ()


def class_name(text: str, taken: Container[str] = ()) -> str:
    """The name of a class for what is called so: ``"order_placed"`` gives ``"OrderPlaced"``.

    Args:
        text: The name elsewhere.
        taken: The names that are used already.
    """
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words)
    name = name if name[:1].isalpha() else f"Event{name}"
    is_taken = name in vars(builtins) or keyword.iskeyword(name) or name in IMPORTED
    return _free(f"{name}Class" if is_taken else name, taken)


def field_name(text: str, taken: Container[str] = ()) -> str:
    """The name of a field for what is called so: ``"user.first-name"`` gives ``"user_first_name"``."""
    name = re.sub(r"\W+|_{2,}", "_", text, flags=re.ASCII).strip("_")
    name = name if name[:1].isalpha() else f"field_{name}".rstrip("_")
    return _free(f"{name}_" if name in HIDING | INHERITED or keyword.iskeyword(name) else name, taken)


def _free(name: str, taken: Container[str]) -> str:
    number = 2
    free = name
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free
