"""The lock file: complete, stable, and read back."""

from __future__ import annotations

import dataclasses
import datetime as dt
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
from heliograph.values.privacy import PrivacyPolicy


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


def test_the_lock_has_what_people_and_programs_rely_on() -> None:
    """Every key is pinned; no brief is among them."""
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


def test_the_order_of_classes_does_not_matter() -> None:
    """The text is the same, and ends with a line break."""
    text = dumps(lock_of(schemas(OrderEvent, OtherEvent)))

    assert text == dumps(lock_of(schemas(OtherEvent, OrderEvent)))
    assert text.endswith("}\n")


def test_a_written_lock_is_read_back() -> None:
    """The result is equal to the lock that was written."""
    lock = lock_of(schemas(OrderEvent, OtherEvent))

    assert loads(dumps(lock)) == lock


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not a lock file"),
        ("[]", "not a lock file"),
        ('{"format": 1}', "missing required field `events`"),
        ('{"format": 2, "events": {}}', "of format 2, but"),
        ('{"format": 1, "events": {"a.b": 3}}', r"\$\.events\[\.\.\.\]"),
        ('{"format": 1, "events": {}, "more": 1}', "more"),
        ("[" * 100_000, "not a lock file"),
        ("\udc80", "not a lock file"),
        ('{"events": ' + '{"a": {"values": ' + '{"a": ' * 100_000, "not a lock file: maximum recursion depth"),
    ],
)
def test_a_file_that_is_not_a_lock_file_is_an_error(text: str, problem: str) -> None:
    """The error names the problem and its place."""
    with pytest.raises(FileFormatError, match=problem):
        loads(text)


@pytest.mark.parametrize("values", [{"properties": 3, "type": "object"}, {"$ref": "#/$defs/gone"}, {"anyOf": [3]}])
def test_values_that_are_not_a_json_schema_are_an_error(values: object) -> None:
    """The error names the event whose values they are."""
    document = json.loads(dumps(lock_of(schemas(OtherEvent))))
    document["events"]["shop.other"]["values"] = values

    with pytest.raises(FileFormatError, match=r"shop\.other"):
        loads(json.dumps(document))


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    """The only exception for a text that is no lock file is `FileFormatError`."""
    with pytest.raises(FileFormatError):
        loads(text)


def test_a_property_may_be_called_like_an_annotation() -> None:
    """Annotations are removed from the schema; a property with the name of one is not."""

    @dataclass
    class NamedEvent(Event, namespace="shop"):
        name = "named"
        description: Annotated[str, Attribute(brief="A text.", examples=["a"])]

    values = lock_of(schemas(NamedEvent)).events["shop.named"].values

    assert values["properties"] == {"description": {"type": "string"}}


def test_a_class_whose_fields_are_unknown_is_not_locked() -> None:
    """A class without known fields has no contract."""
    unknown = dataclasses.replace(schemas(OtherEvent)[0], fields=None)

    assert lock_of([unknown]).events == {}


def test_announced_names_are_locked() -> None:
    """An event and an attribute may announce a new name, which later removals are compared with."""

    @dataclass
    class OldEvent(Event, namespace="shop", deprecated=Deprecated(renamed_to="shop.new")):
        name = "old"
        user: Annotated[str, Attribute("shop.user", deprecated=Deprecated(renamed_to="shop.customer"))]
        kept: Annotated[str, Attribute("shop.kept", deprecated=Deprecated(note="Nobody reads it."))]

    event = lock_of(schemas(OldEvent)).events["shop.old"]

    assert event.renamed_to == "shop.new"
    assert {name: each.renamed_to for name, each in event.attributes.items()} == {
        "shop.user": "shop.customer",
        "shop.kept": None,
    }


def test_privacy_is_locked_as_declared() -> None:
    """Settings of the process that writes the lock, such as a key or opted-in attributes, change nothing."""

    @dataclass
    class PrivateEvent(Event, namespace="shop"):
        name = "private"
        user: Annotated[str, Attribute(privacy=Privacy.HASH)]
        query: Annotated[str | None, Attribute(requirement="opt_in")] = None

    policies = [PrivacyPolicy(), PrivacyPolicy(key="k", opt_in=("*",))]
    locks = [lock_of([compile_schema(PrivateEvent, namespace="app", policy=policy)]) for policy in policies]

    assert locks[0] == locks[1]
    assert locks[0].events["shop.private"].privacy == {"user": Privacy.HASH, "query": Privacy.DROP}


@pytest.mark.parametrize(
    "path", [(), ("events", "shop.other"), ("events", "shop.other", "attributes", "shop.other.text")]
)
def test_unknown_keys_are_an_error(path: tuple[str, ...]) -> None:
    """A key that this version does not know, at any level, may be a promise that it would not check."""
    document = json.loads(dumps(lock_of(schemas(OtherEvent))))
    inner = document
    for key in path:
        inner = inner[key]
    inner["surprise"] = 1

    with pytest.raises(FileFormatError, match="surprise"):
        loads(json.dumps(document))


def test_annotations_of_items_are_not_locked() -> None:
    """Annotations are removed at every depth. The pattern of a format is kept, because it rejects values."""

    @dataclass
    class DatedEvent(Event, namespace="shop"):
        name = "dated"
        days: list[dt.date]
        by_name: dict[str, list[dt.date | None]]

    values = lock_of(schemas(DatedEvent)).events["shop.dated"].values

    assert '"format"' not in json.dumps(values)
    assert values["properties"]["days"]["items"]["pattern"].startswith("^")
