"""Registries for OpenTelemetry Weaver, in both of its forms."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Severity
from heliograph.errors import SchemaError
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.weaver import weaver
from heliograph.schema.export.weaver_v1 import weaver_v1
from schema.export.weaver_reader import read_v1, read_v2
from schema.typed_values import FITTING, Color, Level


@dataclass
class Customer:
    name: Annotated[str, Attribute("shop.customer.name", brief="What the customer is called.", privacy=Privacy.HASH)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "GB"


@dataclass
class OrderEvent(
    Event,
    namespace="shop",
    version="1",
    severity=Severity.WARN,
    stability="stable",
    message="{actor[id]}: {total} {{}}",
):
    """An order was placed.

    By a customer.
    """

    name = "order"
    total: Annotated[int, Attribute("shop.order.total", brief="What it costs.", examples=[1250], unit="{cent}")]
    database: Annotated[str, Attribute("db.namespace")]
    customer: Customer | None
    color: Color
    level: Level | None = None
    extra: dict[str, int] | None = None
    note: Annotated[str | None, Attribute(privacy=Privacy.MASK)] = None
    sql: Annotated[str | None, Attribute(requirement="opt_in")] = None
    why: Annotated[str | None, Attribute(requirement="conditionally_required: when it is late")] = None
    old: Annotated[str | None, Attribute("shop.old", deprecated=Deprecated(renamed_to="shop.new"))] = None


@dataclass
class BanEvent(Event, namespace="shop", deprecated=Deprecated(note="Nobody is banned any more.")):
    name = "ban"


def schemas(*classes: type):
    return [compile_schema(cls, namespace="app") for cls in classes]


def test_registry_says_what_the_classes_say() -> None:
    """Pinned, but for texts that are made up."""
    files = weaver(schemas(OrderEvent, BanEvent))
    registry = yaml.safe_load(files["events.yaml"])
    attributes = {each.pop("key"): each for each in registry["attributes"]}

    assert read_v2(files)
    assert attributes["shop.order.total"] == {
        "type": "int",
        "stability": "stable",
        "brief": "What it costs.",
        "examples": [1250],
        "annotations": {"unit": "{cent}"},
    }
    assert attributes["shop.customer.name"] == {
        "type": "string",
        "stability": "stable",
        "brief": "What the customer is called.",
        "examples": [f"hmac-sha256:{'0' * 64}"],
        "annotations": {"privacy": {"action": "hash"}},
    }
    assert attributes["shop.order.color"]["type"]["members"] == [
        {"id": "red", "value": "red", "brief": "RED", "stability": "development"},
        {"id": "blue", "value": "blue", "brief": "BLUE", "stability": "development"},
    ]
    assert attributes["shop.old"]["deprecated"] == {"reason": "renamed", "renamed_to": "shop.new"}
    assert attributes["shop.order.extra"]["type"] == "any"
    assert "db.namespace" not in attributes

    ban, order = registry["events"]
    assert ban["deprecated"] == {"reason": "obsoleted", "note": "Nobody is banned any more."}
    assert order["note"] == "By a customer.\n\nSeverity WARN (13)."
    assert order["annotations"] == {
        "severity_number": 13,
        "version": "1",
        "message": "{user.id}: {shop.order.total} {{}}",
    }
    assert {each["ref"]: each["requirement_level"] for each in order["attributes"]} == {
        "shop.order.total": "required",
        "db.namespace": "required",
        "shop.customer.name": {"conditionally_required": "when there is `customer`"},
        "shop.order.customer.country": "recommended",
        "shop.order.color": "required",
        "shop.order.level": "recommended",
        "shop.order.extra": "recommended",
        "shop.order.note": "recommended",
        "shop.order.sql": "opt_in",
        "shop.order.why": {"conditionally_required": "when it is late"},
        "shop.old": "recommended",
    }


def test_conventions_are_a_dependency_where_they_are_referred_to() -> None:
    """In the version that names are checked against, and only there."""
    with_them = yaml.safe_load(
        weaver(schemas(OrderEvent), schema_url="https://example.org/shop/2.0.0")["manifest.yaml"]
    )
    without = yaml.safe_load(weaver(schemas(BanEvent))["manifest.yaml"])

    assert with_them["schema_url"] == "https://example.org/shop/2.0.0"
    assert [each["schema_url"] for each in with_them["dependencies"]] == ["https://opentelemetry.io/schemas/1.44.0"]
    assert "dependencies" not in without


def test_first_form_says_the_same() -> None:
    """In groups: one for each namespace of attributes, one for each event."""
    files = weaver_v1(schemas(OrderEvent, BanEvent))
    groups = yaml.safe_load(files["events.yaml"])["groups"]
    registry = yaml.safe_load(weaver(schemas(OrderEvent, BanEvent))["events.yaml"])

    assert read_v1(files)
    assert [group["id"] for group in groups] == ["registry.shop", "event.shop.ban", "event.shop.order"]
    assert groups[0]["attributes"] == [{"id": each.pop("key"), **each} for each in registry["attributes"]]
    assert groups[2]["attributes"] == registry["events"][1]["attributes"]


@settings(max_examples=100)
@given(st.lists(st.sampled_from([hint for hint, _ in FITTING]), max_size=5), st.data())
def test_strict_reader_accepts_every_registry(hints: list[Any], data: st.DataObject) -> None:
    """Whatever the types are, and whatever the classes say."""
    texts = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1).filter(str.strip)
    fields = []
    for index, hint in enumerate(hints):
        declared = Attribute(
            brief=data.draw(st.none() | texts),
            note=data.draw(st.none() | texts),
            privacy=data.draw(st.none() | st.sampled_from(Privacy)),
            requirement=data.draw(st.sampled_from([None, "recommended", "opt_in", "conditionally_required: if: so"])),
            unit=data.draw(st.none() | texts),
        )
        fields.append((f"x{index}", Annotated[hint, declared]))
    cls = make_dataclass("E", fields, bases=(Event,), namespace={"name": "e", "__doc__": data.draw(texts)})

    assert read_v2(weaver(schemas(cls)))
    assert read_v1(weaver_v1(schemas(cls)))


def test_attribute_of_two_types_is_an_error() -> None:
    """It names both classes, the attribute and the types."""
    one = make_dataclass("One", [("x", Annotated[int, Attribute("shop.x")])], bases=(Event,), namespace={"name": "one"})
    two = make_dataclass("Two", [("x", Annotated[str, Attribute("shop.x")])], bases=(Event,), namespace={"name": "two"})

    with pytest.raises(SchemaError, match=r"Two.*'shop\.x' is string, and that of .*One is int"):
        weaver(schemas(one, two))


def test_every_core_event_of_datasette_is_in_its_registry() -> None:
    """With what heliograph knows about them."""
    from datasette.events import register_events

    registry = read_v2(weaver(schemas(*register_events())))

    assert len(registry.events) == 11
    assert read_v1(weaver_v1(schemas(*register_events())))
