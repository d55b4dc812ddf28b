"""Drafts of event classes as data, and the choice of their names in Python."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from heliograph.events import MAX_SEVERITY, Attribute, EventOptions, Severity

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
"""The names that a generated module may import. No class in it may have one of them."""

HIDING: Final = IMPORTED | {"bool", "dict", "float", "int", "list", "str"}
"""Names that a field must not have. In the class body, the field would hide them from the annotations of later fields."""

INHERITED: Final = frozenset({"actor", "created", "name", "properties", "upcast"})
"""Names that every event class already uses."""

RESERVED_MEMBERS: Final = frozenset({"mro", "name", "value"})
"""Names that a member of an `Enum` must not have: Python refuses the first, and the others are attributes of each member."""


@dataclass(frozen=True, kw_only=True)
class FieldDraft:
    """A field of a class.

    Attributes:
        name: Its name, an identifier.
        annotation: The source of its type, without ``| None``.
        required: True if it has no default. Otherwise it may be `None`, which is its default.
        declared: Its `Attribute`.
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
    """A dataclass that is the type of a field.

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
        event_name: The value of the class attribute ``name``, such as ``"ban-user"``.
        brief: The first line of the docstring.
        note: The rest of the docstring.
        options: The keywords of the class statement.
        needs: The classes that are the types of its fields.
    """

    event_name: str
    brief: str = ""
    note: str = ""
    options: EventOptions = EventOptions()
    needs: tuple[EnumDraft | ClassDraft, ...] = ()


def class_name(text: str, taken: Container[str] = ()) -> str:
    """Return a class name for a name from elsewhere: ``"OrderPlaced"`` for ``"order_placed"``.

    Args:
        text: The name from elsewhere; any text.
        taken: Names that are already used.
    """
    words = re.findall(r"[A-Za-z0-9]+", text)
    name = "".join(word[0].upper() + word[1:] for word in words)
    name = name if name[:1].isalpha() else f"Event{name}"
    is_reserved = name in vars(builtins) or keyword.iskeyword(name) or name in IMPORTED
    return _free(f"{name}Class" if is_reserved else name, taken)


def field_name(text: str, taken: Container[str] = ()) -> str:
    """Return a field name for a name from elsewhere: ``"user_first_name"`` for ``"user.first-name"``."""
    name = re.sub(r"\W+|_{2,}", "_", text, flags=re.ASCII).strip("_")
    name = name if name[:1].isalpha() else f"field_{name}".rstrip("_")
    return _free(f"{name}_" if name in HIDING | INHERITED or keyword.iskeyword(name) else name, taken)


def member_name(text: str, taken: Container[str] = ()) -> str:
    """Return the name of an enum's member for a name from elsewhere: ``"CREDIT_CARD"`` for ``"CREDIT-CARD"``."""
    name = field_name(text)
    return _free(f"{name}_" if name in RESERVED_MEMBERS else name, taken)


def severity_of(number: object) -> int:
    """Return the severity number of an event from elsewhere, or INFO if it has none that OpenTelemetry defines."""
    if not isinstance(number, int) or isinstance(number, bool):
        return Severity.INFO
    return number if Severity.TRACE <= number <= MAX_SEVERITY else Severity.INFO


def _free(name: str, taken: Container[str]) -> str:
    """Return the name, with a number appended if it is taken."""
    number = 2
    free = name
    while free in taken:
        free = f"{name}_{number}"
        number += 1
    return free
