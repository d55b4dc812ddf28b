"""The document of what schemas promise: stable, complete, and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.errors import FileFormatError
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.gate.lock import dumps, loads, lock_of


@dataclass
class Line:
    sku: Annotated[str, Attribute(privacy=Privacy.MASK)]
    count: int = 1


@dataclass
class OrderEvent(Event, namespace="shop", version="2", deprecated=Deprecated(renamed_to="shop.purchase")):
    """An order was placed."""

    name = "order"
    lines: list[Line]
    total: Annotated[int, Attribute("shop.order.total", brief="What it costs.", unit="{cent}")] = 0


@dataclass
class OtherEvent(Event, namespace="shop"):
    name = "other"
    text: str


def schemas(*classes: type):
    return [compile_schema(cls, namespace="app") for cls in classes]


def test_lock_has_what_somebody_can_rely_on() -> None:
    """Pinned, key by key: no brief is among them."""
    assert json.loads(dumps(lock_of(schemas(OrderEvent)))) == {
        "format": 1,
        "events": {
            "shop.order@2": {
                "event_name": "shop.order",
                "version": "2",
                "severity": 9,
                "stability": "development",
                "renamed_to": "shop.purchase",
                "privacy": {"lines.sku": "mask", "lines.count": "plain", "total": "plain"},
                "attributes": {
                    "shop.order.lines": {
                        "path": "lines",
                        "type": "string",
                        "required": True,
                        "requirement": "required",
                        "unit": None,
                        "renamed_to": None,
                    },
                    "shop.order.total": {
                        "path": "total",
                        "type": "int",
                        "required": False,
                        "requirement": "recommended",
                        "unit": "{cent}",
                        "renamed_to": None,
                    },
                },
                "values": {
                    "type": "object",
                    "required": ["lines"],
                    "properties": {
                        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
                        "total": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                    },
                    "$defs": {
                        "Line": {
                            "type": "object",
                            "required": ["sku"],
                            "properties": {
                                "sku": {"type": "string"},
                                "count": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                            },
                        }
                    },
                },
            }
        },
    }


def test_text_is_the_same_in_whatever_order_classes_come() -> None:
    """And ends with a line break, so that it diffs well."""
    text = dumps(lock_of(schemas(OrderEvent, OtherEvent)))

    assert text == dumps(lock_of(schemas(OtherEvent, OrderEvent)))
    assert text.endswith("}\n")


def test_text_is_read_back() -> None:
    """As what it was written of."""
    lock = lock_of(schemas(OrderEvent, OtherEvent))

    assert loads(dumps(lock)) == lock


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no lock file"),
        ("[]", "no lock file"),
        ('{"format": 1}', "missing required field `events`"),
        ('{"format": 2, "events": {}}', "format 2"),
        ('{"format": 1, "events": {"a.b": 3}}', r"\$\.events\[\.\.\.\]"),
        ('{"format": 1, "events": {}, "more": 1}', "more"),
        ("[" * 100_000, "no lock file"),
    ],
)
def test_what_is_no_lock_file_is_told(text: str, problem: str) -> None:
    """With what is wrong, and where."""
    with pytest.raises(FileFormatError, match=problem):
        loads(text)


@pytest.mark.parametrize("values", [{"properties": 3, "type": "object"}, {"$ref": "#/$defs/gone"}, {"anyOf": [3]}])
def test_values_that_are_no_schema_are_told(values: object) -> None:
    """With the event that they are of."""
    document = json.loads(dumps(lock_of(schemas(OtherEvent))))
    document["events"]["shop.other"]["values"] = values

    with pytest.raises(FileFormatError, match=r"shop\.other"):
        loads(json.dumps(document))


@given(st.text())
def test_any_text_is_a_lock_file_or_told(text: str) -> None:
    """Nothing else comes of it."""
    with pytest.raises(FileFormatError):
        loads(text)
