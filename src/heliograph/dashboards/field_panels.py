"""The panels for a field of an event, chosen by its type.

A number has a distribution and a sum, a value of a closed set has shares, and a text has a list of the most frequent values. A field has no
panel if a panel could show nothing: its value is masked or not exported, or it is a time, binary data or JSON.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel
from typing_extensions import assert_never

from heliograph.dashboards import panels
from heliograph.dashboards.event_store import Conditions, EventStore
from heliograph.dashboards.units import RATIOS, grafana_unit
from heliograph.events import Privacy
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    Format,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
)
from heliograph.schema.model.wire_attributes import WireAttribute, wire_type

_ID: Final = re.compile(r"(^|.*[._])id", re.IGNORECASE)

_FEW: Final = 10
"""The number of values up to which each has a share of its own."""


class Meaning(enum.Enum):
    """The meaning of values: an amount, one of a closed set, a text or an id, or a list of texts."""

    AMOUNT = enum.auto()
    CHOICE = enum.auto()
    TEXT = enum.auto()
    TEXTS = enum.auto()


def field_panels(attribute: WireAttribute, privacy: Privacy, store: EventStore, where: Conditions) -> Iterator[Panel]:
    """Yield the panels for a field.

    Args:
        attribute: The wire attribute of the field.
        privacy: The privacy that applies to it.
        store: The store of the events.
        where: The events that have the field.
    """
    kind = meaning_of(attribute, privacy)
    name = attribute.path
    match kind:
        case None:
            pass
        case Meaning.AMOUNT:
            yield from _amount(attribute, store, where)
        case Meaning.CHOICE:
            yield panels.shares(
                f"Share of each {name}", _text(attribute, privacy), [store.most_frequent(where, attribute.name)]
            )
        case Meaning.TEXT:
            yield panels.ranking(
                f"Most frequent {name}", _text(attribute, privacy), [store.most_frequent(where, attribute.name)]
            )
        case Meaning.TEXTS:
            query = store.most_frequent(where, attribute.name, is_array=store.can_unroll)
            yield panels.ranking(f"Most frequent {name}", _text(attribute, privacy), [query])
        case _:
            assert_never(kind)


def meaning_of(attribute: WireAttribute, privacy: Privacy) -> Meaning | None:
    """Return the meaning of an attribute's values, or `None` if a panel could show nothing."""
    match privacy:
        case Privacy.DROP | Privacy.MASK:
            return None
        case Privacy.HASH:
            return Meaning.TEXT
        case Privacy.PLAIN:
            kind = _meaning_of_type(attribute.type)
            return Meaning.TEXT if kind is Meaning.AMOUNT and _ID.fullmatch(attribute.path) else kind
        case _:
            assert_never(privacy)


def _meaning_of_type(kind: Type) -> Meaning | None:
    match kind:
        case BooleanType() | EnumType():
            return Meaning.CHOICE
        case IntegerType() | NumberType():
            return Meaning.AMOUNT
        case StringType():
            return _meaning_of_format(kind.format)
        case ArrayType():
            return Meaning.TEXTS if wire_type(kind) in {"string[]", "int[]", "boolean[]"} else None
        case UnionType():
            found = {_meaning_of_type(option) for option in kind.options if not isinstance(option, NullType)}
            return found.pop() if len(found) == 1 else None
        case AnyType() | NullType() | MapType() | ObjectType():
            return None
        case _:
            assert_never(kind)


def _meaning_of_format(form: Format | None) -> Meaning | None:
    match form:
        case None | Format.UUID:
            return Meaning.TEXT
        case Format.DECIMAL:
            return Meaning.AMOUNT
        case Format.DATE_TIME | Format.DATE | Format.TIME | Format.DURATION | Format.BASE64:
            return None
        case _:
            assert_never(form)


def _amount(attribute: WireAttribute, store: EventStore, where: Conditions) -> Iterator[Panel]:
    unit = attribute.field.declared.unit
    text = _text(attribute, Privacy.PLAIN)
    if _has_few_values(attribute.type):
        yield panels.shares(f"Share of each {attribute.path}", text, [store.most_frequent(where, attribute.name)])
    else:
        yield panels.graph(
            f"Distribution of {attribute.path}",
            f"{text} Half of the values are below the median, and 95 % below the second line.",
            store.distribution(where, attribute.name),
            unit=grafana_unit(unit),
        )
    if unit not in RATIOS:
        yield panels.number(
            f"Sum of {attribute.path}",
            text,
            [store.total(where, attribute.name)],
            unit=grafana_unit(unit),
            nothing=panels.NOTHING,
        )


def _has_few_values(kind: Type) -> bool:
    """Return True for whole numbers whose bounds allow at most ten values, such as the stars of a review."""
    if not isinstance(kind, IntegerType):
        return False
    least = [bound for bound in (kind.ge, None if kind.gt is None else kind.gt + 1) if bound is not None]
    most = [bound for bound in (kind.le, None if kind.lt is None else kind.lt - 1) if bound is not None]
    return bool(least and most) and min(most) - max(least) < _FEW


def _text(attribute: WireAttribute, privacy: Privacy) -> str:
    brief = attribute.field.declared.brief
    hashed = " Each value is a hash; equal values have equal hashes." if privacy is Privacy.HASH else ""
    return f"{f'{brief} ' if brief else ''}The attribute `{attribute.name}`.{hashed}"
