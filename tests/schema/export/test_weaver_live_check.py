"""Emitted events keep the rules of Weaver's live check of the registry that is exported for them."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.weaver_v2 import weaver_v2
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation
from heliograph.values.privacy import PrivacyPolicy
from profiles import examples
from schema.export.weaver_live_check import LiveCheck
from schema.export.weaver_reader import read_v2
from schema.typed_values import FITTING

UID = {"log.record.uid": "019b7c3f-9e88-7000-8000-000000000000"}


@dataclass
class Line:
    itemCount: int  # noqa: N815 — its attribute is `item_count`
    note: str | None = None


@dataclass
class SaleEvent(Event, namespace="shop"):
    name = "sale"
    total: float
    kind: Literal["new", "again"]
    line: Line
    database: Annotated[str, Attribute("db.namespace")]
    tags: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class OldEvent(Event, namespace="shop", deprecated=Deprecated(note="Use sale.")):
    name = "old"


CHECK = LiveCheck([compile_schema(cls, namespace="app") for cls in (SaleEvent, OldEvent)])
SALE = {
    **UID,
    "shop.sale.total": 1.5,
    "shop.sale.kind": "new",
    "shop.sale.line.item_count": 2,
    "db.namespace": "data",
    "shop.sale.tags": ["a"],
    "shop.sale.more.Any Key": True,
}


@pytest.mark.parametrize(
    ("changes", "violations"),
    [
        ({}, []),
        ({"shop.sale.total": 1, "shop.sale.kind": "other", "shop.sale.tags": []}, []),
        ({"user.id": "root", "user.roles": ["a"], "heliograph.actor.team": 3}, []),
        ({"shop.sale.total": "1"}, ["type_mismatch: shop.sale.total"]),
        ({"shop.sale.tags": ["a", 1]}, []),
        ({"shop.sale.tags": [1]}, ["type_mismatch: shop.sale.tags"]),
        ({"shop.sale.kind": 1.5}, ["type_mismatch: shop.sale.kind"]),
        ({"user.id": 1}, ["type_mismatch: user.id"]),
        ({"shop.sale.other": 1}, ["missing_attribute: shop.sale.other"]),
        ({"server.address": "a"}, ["missing_attribute: server.address"]),
        ({"shop.sale.Other": 1}, ["missing_attribute: shop.sale.Other", "invalid_format: shop.sale.Other"]),
        (
            {"shop.sale.total.net": 1},
            ["missing_attribute: shop.sale.total.net", "illegal_namespace: shop.sale.total.net"],
        ),
        ({"shop.sale.kind": None}, ["required_attribute_not_present: shop.sale.kind"]),
        ({"log.record.uid": None}, ["required_attribute_not_present: log.record.uid"]),
    ],
)
def test_violations_of_an_event(changes: dict[str, Any], violations: list[str]) -> None:
    """Weaver 0.25.1 reports the same violations of the same events."""
    attributes = {name: value for name, value in {**SALE, **changes}.items() if value is not None}

    assert CHECK.violations("shop.sale", attributes) == violations


def test_unknown_and_deprecated_events_are_violations() -> None:
    """Weaver 0.25.1 reports both, whatever attributes they have."""
    assert CHECK.violations("shop.other", UID) == ["missing_event: shop.other"]
    assert CHECK.violations("shop.old", UID) == ["deprecated: shop.old"]


POLICIES = [PrivacyPolicy(), PrivacyPolicy(key="key"), PrivacyPolicy(opt_out=frozenset({"app.e.some_field"}))]


@settings(max_examples=examples(150))
@given(st.sampled_from(FITTING), st.sampled_from([None, *Privacy]), st.sampled_from(POLICIES), st.data())
def test_a_valid_event_has_no_violation(
    pair: tuple[Any, st.SearchStrategy[Any]], privacy: Privacy | None, policy: PrivacyPolicy, data: st.DataObject
) -> None:
    """For any type, privacy and setting, every attribute is in the registry, and every required one is in the event."""
    hint, values = pair
    cls = make_dataclass(
        "E", [("someField", Annotated[hint, Attribute(privacy=privacy)])], bases=(Event,), namespace={"name": "e"}
    )
    schema = compile_schema(cls, namespace="app", policy=policy)
    violations: list[Violation] = []
    attributes = EventReader(schema).attributes(cls(data.draw(values)), violations)
    assume(not violations)

    assert LiveCheck([schema]).violations("app.e", {**attributes, **UID}) == []


@pytest.mark.parametrize("policy", [PrivacyPolicy(), PrivacyPolicy(opt_out=frozenset({"app.e.x"}))])
@pytest.mark.parametrize("hint", [dict, dict[str, int], Annotated[dict, Attribute(privacy=Privacy.MASK)]])
def test_a_required_dict_may_be_empty(hint: Any, policy: PrivacyPolicy) -> None:
    """An empty one is omitted, and so is an attribute that the settings opt out of."""
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    schema = compile_schema(cls, namespace="app", policy=policy)

    attributes = EventReader(schema).attributes(cls(x={}))

    assert LiveCheck([schema]).violations("app.e", {**attributes, **UID}) == []


@pytest.mark.parametrize(
    ("privacy", "level"), [(None, "recommended"), (Privacy.MASK, "required"), (Privacy.DROP, "opt_in")]
)
def test_a_masked_dict_is_required(privacy: Privacy | None, level: str) -> None:
    """The mask is exported even if the dict is empty."""
    hint = Annotated[dict, Attribute(privacy=privacy)]
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    [event] = read_v2(weaver_v2([compile_schema(cls, namespace="app")])).events

    assert {each.ref: each.requirement_level for each in event.attributes}["app.e.x"] == level


def test_datasettes_restrictions_may_be_empty() -> None:
    """Restrictions are dicts that become JSON text, and an empty one is no violation."""
    from datasette.events import CreateTokenEvent

    schema = compile_schema(CreateTokenEvent, namespace="app")
    event = CreateTokenEvent(
        actor=None, expires_after=None, restrict_all=[], restrict_database={}, restrict_resource={}
    )

    attributes = EventReader(schema).attributes(event)

    assert LiveCheck([schema]).violations("datasette.create_token", {**attributes, **UID}) == []
