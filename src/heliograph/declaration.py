"""What an event class can say of itself and of its fields."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Stability: TypeAlias = Literal["development", "alpha", "beta", "release_candidate", "stable"]
"""How firm a contract is. Source: OpenTelemetry semantic conventions, stability levels."""

Properties: TypeAlias = dict[str, Any]
"""The properties of an event in the forms that they have in JSON."""

Upcaster: TypeAlias = Callable[[Properties], Properties]
"""From the properties of an older version of an event to those of the class's own."""


class Severity(enum.IntEnum):
    """How much an event matters: the ranges of OpenTelemetry's severity numbers.

    Source: OpenTelemetry specification, logs data model, field SeverityNumber.
    """

    TRACE = 1
    DEBUG = 5
    INFO = 9
    WARN = 13
    ERROR = 17
    FATAL = 21


def severity_text(severity: int) -> str:
    """A severity for people: ``WARN (13)``, or ``number (14)``."""
    name = Severity(severity).name if severity in set(Severity) else "number"
    return f"{name} ({int(severity)})"


class Privacy(str, enum.Enum):
    """What may leave the process of a value: on every way out, checked or not."""

    PLAIN = "plain"
    """The value."""
    MASK = "mask"
    """That there is one."""
    HASH = "hash"
    """Its HMAC-SHA-256 with the setting ``privacy_key``: the same value gives the same hash."""
    DROP = "drop"
    """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Deprecated:
    """That an event or an attribute is on its way out.

    Attributes:
        renamed_to: The name on the wire that takes its place; `None` where nothing does.
        note: Why, or what to do.
        emit_both: Whether it is emitted under both names, until everybody has moved.
    """

    renamed_to: str | None = None
    note: str | None = None
    emit_both: bool = False


@dataclass(frozen=True)
class Attribute:
    """What a field says of the attribute that it becomes: ``Annotated[int, Attribute("shop.order.total", unit="EUR")]``.

    Attributes:
        name: The attribute's name; `None` is ``<event name>.<field>``. Below a namespace of OpenTelemetry's semantic
            conventions it has to be a name that they know, with the type that they give it.
        brief: One sentence for the catalogue.
        note: More than that.
        examples: Values that it may have.
        privacy: What may leave of it, and of what is inside of it; `None` is the setting's ``privacy_default``.
        requirement: ``"required"``, ``"recommended"``, ``"opt_in"`` (left out, unless the setting ``opt_in`` names it) or
            ``"conditionally_required: <when>"``; `None` is what the field's type and default say.
        unit: The unit, in UCUM.
        deprecated: That the name is on its way out.
    """

    name: str | None = None
    brief: str | None = field(default=None, kw_only=True)
    note: str | None = field(default=None, kw_only=True)
    examples: tuple[object, ...] | list[object] = field(default=(), kw_only=True)
    privacy: Privacy | None = field(default=None, kw_only=True)
    requirement: str | None = field(default=None, kw_only=True)
    unit: str | None = field(default=None, kw_only=True)
    deprecated: Deprecated | None = field(default=None, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class EventOptions:
    """What telemetry wants to know about an event class: the keywords of its class statement.

    Attributes:
        namespace: First part of the event name; `None` takes the one of the settings.
        version: The version of the contract, for a class that has one.
        severity: The severity number of its log records.
        message: A template for the body, such as ``"{actor[id]} banned {user[username]}"``; `None` shows the name.
        stability: How firm the contract is.
        deprecated: That the event is on its way out.
        upcasters: By older version: what makes properties of this version from those of that one.
    """

    namespace: str | None = None
    version: str | None = None
    severity: Severity = Severity.INFO
    message: str | None = None
    stability: Stability = "development"
    deprecated: Deprecated | None = None
    upcasters: Mapping[str, Upcaster] = field(default_factory=dict)
