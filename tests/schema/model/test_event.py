"""The schema of an event class is frozen data."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from heliograph import Attribute, Deprecated, Severity
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.message import parse_message
from heliograph.schema.model.types import FieldSchema, IntegerType, StringType
from heliograph.values.privacy import PrivacyPolicy


def schema(*fields: FieldSchema, **kwargs: Any) -> EventSchema:
    return EventSchema(
        event_class=dict, name="ban-user", event_name="app.ban_user", severity=Severity.INFO, fields=fields, **kwargs
    )


def field(name: str, declared: Attribute | None = None) -> FieldSchema:
    declared = declared or Attribute()
    return FieldSchema(
        name=name,
        attribute=declared.name or f"app.ban_user.{name}",
        type=StringType(),
        required=True,
        declared=declared,
    )


def test_schema_cannot_be_changed() -> None:
    """A schema is frozen, so that any thread may read it."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        schema().name = "other"  # type: ignore[misc]


def test_label_has_the_version_if_there_is_one() -> None:
    """Versions of one event are distinguished by their labels."""
    assert schema().label == "app.ban_user"
    assert schema(version="2").label == "app.ban_user@2"


def test_emitted_fields_repeat_fields_with_two_names() -> None:
    """The copy has the new name and is not deprecated. A deprecated field without `emit_both` is there once."""
    both = field("a", Attribute("a.old", deprecated=Deprecated(renamed_to="a.new", emit_both=True)))
    old = field("b", Attribute("b.old", deprecated=Deprecated(renamed_to="b.new")))
    found = list(schema(both, old).emitted_fields())

    assert found[:2] == [both, old]
    assert [(each.name, each.attribute, each.declared) for each in found[2:]] == [("a", "a.new", Attribute("a.new"))]
    assert [each.name for each in schema(both, old).wire_attributes()] == ["a.old", "b.old", "a.new"]


def test_schema_without_fields_has_no_attributes() -> None:
    """Events of such a schema are exported by their `properties()`."""
    untyped = dataclasses.replace(schema(), fields=None)

    assert list(untyped.emitted_fields()) == list(untyped.wire_attributes()) == []


def test_body_text() -> None:
    """The name, or the message filled from attributes; always a display string."""
    template = parse_message("{a}", {"a": "app.ban_user.a"})

    assert schema().body_text({}) == "ban-user"
    assert dataclasses.replace(schema(), name="a\nb").body_text({}) == "a\\nb"
    assert schema(message="{a}", body=template).body_text({"app.ban_user.a": 3}) == "3"


def test_policy_is_not_part_of_equality() -> None:
    """Two hosts with different privacy have the same contract."""
    assert schema(policy=PrivacyPolicy(key="a")) == schema(policy=PrivacyPolicy(key="b"))
    assert schema(field("a")) != schema(dataclasses.replace(field("a"), type=IntegerType()))
