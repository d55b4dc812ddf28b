"""The content of a Weaver registry: its events, their references, and the attributes that are defined once."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest

from heliograph import Attribute, Event, Privacy
from heliograph.errors import SchemaError, SchemaErrors
from heliograph.schema.compile.event_class import compile_schema, compile_untyped
from heliograph.schema.export.added_attributes import ADDED
from heliograph.schema.export.weaver_content import collect, event_annotations, note
from heliograph.tokens.events import TOKEN_EVENTS
from heliograph.values.privacy import PrivacyPolicy
from schema.shop_events import BanEvent, OrderEvent, schemas


@dataclass
class Customer:
    id: int


def event_of(name: str, **fields: Any) -> type:
    """Return an event class with these fields."""
    return make_dataclass("E", fields.items(), bases=(Event,), namespace={"name": name})


def requirement_of(hint: Any, **policy: Any) -> object:
    """Return the requirement level of the first attribute of a field with this annotation."""
    schema = compile_schema(event_of("e", x=hint), namespace="app", policy=PrivacyPolicy(**policy))
    [event] = collect([schema]).events
    return event.references[0]["requirement_level"]


KEY_FOR_HASHES = {"conditionally_required": "when there is a key for hashes"}


@pytest.mark.parametrize(
    ("hint", "policy", "level"),
    [
        (int, {}, "required"),
        (int | None, {}, "recommended"),
        (dict[str, int], {}, "recommended"),
        (int | str, {}, "recommended"),
        (Annotated[dict[str, int], Attribute(privacy=Privacy.MASK)], {}, "required"),
        (Customer, {}, "required"),
        (Customer | None, {}, {"conditionally_required": "when there is `x`"}),
        (Annotated[int, Attribute(requirement="recommended")], {}, "recommended"),
        (Annotated[int, Attribute(requirement="opt_in")], {}, "opt_in"),
        (
            Annotated[int, Attribute(requirement="conditionally_required: if: late")],
            {},
            {"conditionally_required": "if: late"},
        ),
        (Annotated[str, Attribute(privacy=Privacy.MASK)], {}, "required"),
        (Annotated[str, Attribute(privacy=Privacy.HASH)], {}, KEY_FOR_HASHES),
        (Annotated[str | None, Attribute(privacy=Privacy.HASH)], {}, "recommended"),
        (Annotated[str, Attribute(privacy=Privacy.DROP)], {}, "opt_in"),
        (int, {"default": Privacy.DROP}, "opt_in"),
        (int, {"opt_out": ("app.e.x",)}, "opt_in"),
        (int, {"opt_out": ("app.e.y",)}, "required"),
        (Annotated[int, Attribute(privacy=Privacy.PLAIN)], {"default": Privacy.DROP}, "required"),
        (Annotated[str, Attribute(privacy=Privacy.MASK)], {"default": Privacy.DROP}, "required"),
    ],
    ids=str,
)
def test_a_requirement_is_the_one_of_the_exported_attribute(hint: Any, policy: dict[str, Any], level: object) -> None:
    """A value that is dropped, hashed, flattened or inside of an optional class may be missing."""
    assert requirement_of(hint, **policy) == level


def test_every_event_refers_to_the_attributes_that_heliograph_adds() -> None:
    """The added attributes come last. The registry defines those that the semantic conventions do not have."""
    content = collect(schemas(event_of("e", x=int)))

    [event] = content.events
    assert [each["ref"] for each in event.references] == ["app.e.x", *map(str, ADDED)]
    defined_here = {name for name, added in ADDED.items() if added.type is not None}
    assert set(content.attributes) == {"app.e.x", *defined_here}


def test_an_untyped_event_is_not_exported() -> None:
    """The attributes of an untyped event are not known."""
    untyped = compile_untyped(event_of("untyped"), namespace="app")

    content = collect([untyped, *schemas(BanEvent)])

    assert [event.latest.event_name for event in content.events] == ["shop.ban"]
    assert (collect([untyped]).events, collect([untyped]).attributes) == ([], {})


def test_events_and_attributes_are_sorted() -> None:
    """The order of the classes does not matter."""
    content = collect(schemas(OrderEvent, BanEvent))

    assert [event.latest.event_name for event in content.events] == ["shop.ban", "shop.order"]
    assert list(content.attributes) == sorted(content.attributes)


def test_every_attribute_with_two_types_is_reported() -> None:
    """One error has the problems of one class; the errors of several classes are raised together."""
    one, two, three = (
        event_of(name, a=Annotated[kind, Attribute("shop.a")], b=Annotated[kind, Attribute("shop.b")])
        for name, kind in (("one", int), ("two", str), ("three", bool))
    )

    with pytest.raises(SchemaError) as of_one:
        collect(schemas(one, two))
    with pytest.raises(SchemaErrors) as of_two:
        collect(schemas(one, two, three))

    assert type(of_one.value) is SchemaError
    assert [reason.partition(" has")[0] for reason in of_one.value.reasons] == [
        "its attribute 'shop.a'",
        "its attribute 'shop.b'",
    ]
    assert len(of_two.value.errors) == 2


def test_attribute_that_heliograph_adds_is_referred_to_once() -> None:
    """Events about tokens declare the id of the token as a field, which all events may have."""
    cls = TOKEN_EVENTS[0]
    [event] = collect([compile_schema(cls, namespace="heliograph")]).events
    names = [reference["ref"] for reference in event.references]

    assert names.count("heliograph.token.id") == 1
    assert len(names) == len(set(names))


def test_reference_has_the_brief_of_the_last_version() -> None:
    """A reference to the conventions has the texts that the event declares."""
    versions = []
    for number in ("1", "2"):
        hint = Annotated[str, Attribute("db.namespace", brief=f"brief {number}")]
        cls = event_of("e", x=hint)
        cls.__event_options__ = dataclasses.replace(cls.__event_options__, version=number)
        versions.append(cls)
    [event] = collect(schemas(*versions)).events

    assert event.latest.version == "2"
    assert event.references[0] == {"ref": "db.namespace", "requirement_level": "required", "brief": "brief 2"}


def test_requirement_is_the_one_of_the_last_version() -> None:
    """If no version requires the attribute, any level is kept by all of them."""
    versions = []
    for number, level in (("1", "opt_in"), ("2", "recommended")):
        cls = event_of("e", x=Annotated[int, Attribute(requirement=level)])
        cls.__event_options__ = dataclasses.replace(cls.__event_options__, version=number)
        versions.append(cls)
    [event] = collect(schemas(*versions)).events

    assert event.references[0]["requirement_level"] == "recommended"


def test_conflict_names_the_first_class_that_declares_the_attribute() -> None:
    """All other classes are compared with that one."""
    kinds = {"First": str, "Second": int, "Third": int}
    classes = [
        make_dataclass(
            name, [("x", Annotated[kind, Attribute("shop.x")])], bases=(Event,), namespace={"name": name.lower()}
        )
        for name, kind in kinds.items()
    ]

    with pytest.raises(SchemaErrors) as caught:
        collect(schemas(*classes))

    assert [re.findall(r"First|Second|Third", error.reason) for error in caught.value.errors] == [["First"], ["First"]]


def test_annotations_have_what_weaver_has_no_field_for() -> None:
    """An annotation that the class does not declare is omitted."""
    ban, order = collect(schemas(OrderEvent, BanEvent)).events

    assert event_annotations(ban) == {"severity_number": 9}
    assert event_annotations(order) == {
        "severity_number": 13,
        "version": "1",
        "message": "{user.id}: {shop.order.total} {{}}",
    }
    assert (note(ban.latest), note(order.latest)) == ("Severity INFO (9).", "By a customer.\n\nSeverity WARN (13).")
