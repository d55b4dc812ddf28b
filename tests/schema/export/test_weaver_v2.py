"""OpenTelemetry Weaver registries in the file format definition/2."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import make_dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.errors import SchemaError
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.added_attributes import ADDED
from heliograph.schema.export.weaver_v1 import weaver_v1
from heliograph.schema.export.weaver_v2 import SCHEMA_URL, schema_url_of, weaver_v2
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation
from profiles import examples
from schema.export.weaver_reader import read_v1, read_v2
from schema.shop_events import BanEvent, OrderEvent, schemas
from schema.typed_values import FITTING, Box, Numbers, Permission
from values.boxes import Frozen, Struct


def test_the_registry_has_what_the_classes_declare() -> None:
    """Every key is pinned, except generated texts."""
    files = weaver_v2(schemas(OrderEvent, BanEvent))
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
    assert attributes["shop.order.extra"]["type"] == "template[any]"
    assert attributes["heliograph.actor"]["type"] == "template[any]"
    assert attributes["heliograph.event.violations"]["type"] == "string[]"
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
        **{str(name): level_of_added(name) for name in ADDED},
    }


def test_empty_lists_are_omitted() -> None:
    """A registry without events has imports only."""
    assert set(yaml.safe_load(weaver_v2([])["events.yaml"])) == {"file_format", "imports"}


@pytest.mark.parametrize(
    ("url", "version", "expected"),
    [
        (None, None, SCHEMA_URL),
        (None, "2.0.0", "https://example.com/schemas/events/2.0.0"),
        ("https://shop.org/events/", "1.2.0", "https://shop.org/events/1.2.0"),
        ("https://shop.org/events/1.2.0/", None, "https://shop.org/events/1.2.0"),
        ("https://shop.org/events/1.2.0", "1.2.0", "https://shop.org/events/1.2.0"),
        ("https://shop.org/events", "1.2.0-rc.1+a", "https://shop.org/events/1.2.0-rc.1+a"),
    ],
)
def test_schema_url_ends_with_a_version(url: str | None, version: str | None, expected: str) -> None:
    """Weaver reads the version of a registry from the end of its URL."""
    assert schema_url_of(url, version) == expected


@pytest.mark.parametrize(
    ("url", "version", "message"),
    [
        (None, "1.2", "'1.2' is not a version"),
        (None, "1.2.0/x", "'1.2.0/x' is not a version"),
        (None, "١.٢.٠", "is not a version"),
        ("shop.org/events", "1.2.0", "is not a schema URL"),
        ("https://shop.org/events?x", "1.2.0", "is not a schema URL"),
        ("https://shop.org/events/1.2.0", "1.3.0", "has the version 1.2.0, and 1.3.0 is given, too"),
        ("https://shop.org/events", None, "does not end with a version"),
    ],
)
def test_wrong_schema_url_is_an_error(url: str | None, version: str | None, message: str) -> None:
    """The message names what is wrong with the URL or the version."""
    with pytest.raises(ValueError, match=message):
        schema_url_of(url, version)


def level_of_added(name: str) -> Any:
    return {"conditionally_required": ADDED[name].when} if ADDED[name].when else "required"


def test_semantic_conventions_are_always_a_dependency() -> None:
    """The version is the one that attribute names are checked against."""
    with_them = yaml.safe_load(
        weaver_v2(schemas(OrderEvent), schema_url="https://example.org/shop/2.0.0")["manifest.yaml"]
    )
    without = yaml.safe_load(weaver_v2(schemas(BanEvent))["manifest.yaml"])

    assert with_them["schema_url"] == "https://example.org/shop/2.0.0"
    assert [each["schema_url"] for each in with_them["dependencies"]] == ["https://opentelemetry.io/schemas/1.44.0"]
    assert without["dependencies"] == with_them["dependencies"]


@settings(max_examples=examples(50))
@given(st.lists(st.sampled_from([hint for hint, _ in FITTING]), max_size=5), st.data())
def test_a_strict_reader_accepts_every_registry(hints: list[Any], data: st.DataObject) -> None:
    """The classes may have any types and any texts."""
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

    assert read_v2(weaver_v2(schemas(cls)))
    assert read_v1(weaver_v1(schemas(cls)))


def test_an_attribute_with_two_types_is_an_error() -> None:
    """The error names both classes, the attribute and the types."""
    one = make_dataclass("One", [("x", Annotated[int, Attribute("shop.x")])], bases=(Event,), namespace={"name": "one"})
    two = make_dataclass("Two", [("x", Annotated[str, Attribute("shop.x")])], bases=(Event,), namespace={"name": "two"})

    with pytest.raises(SchemaError, match=r"Two.*'shop\.x' has the type string, but in .*One it has the type int"):
        weaver_v2(schemas(one, two))


def test_the_core_events_of_datasette_have_a_registry() -> None:
    """The registry has all eleven events, with what heliograph declares for them."""
    from datasette.events import register_events

    registry = read_v2(weaver_v2(schemas(*register_events())))

    assert len(registry.events) == 11
    assert read_v1(weaver_v1(schemas(*register_events())))


def test_several_versions_of_an_event_have_one_contract() -> None:
    """The contract accepts each version: its types are wide enough, and it requires only what all versions require."""
    red = make_dataclass(
        "Red",
        [("a", int), ("b", int), ("c", Literal["x"]), ("d", dict), ("e", str)],
        bases=(Event,),
        namespace={"name": "sale"},
    )
    red.__event_options__ = dataclasses.replace(red.__event_options__, version="1")
    blue = make_dataclass(
        "Blue",
        [("a", float), ("b", str), ("c", Literal["y"]), ("d", int), ("f", str)],
        bases=(Event,),
        namespace={"name": "sale"},
    )
    blue.__event_options__ = dataclasses.replace(blue.__event_options__, version="2")

    files = weaver_v2(schemas(red, blue))
    registry = read_v2(files)
    types = {each.key.removeprefix("app.sale."): each.type for each in registry.attributes}
    (event,) = registry.events
    levels = {each.ref.removeprefix("app.sale."): each.requirement_level for each in event.attributes}

    assert [types[name] for name in "abdef"] == ["double", "template[any]", "template[any]", "string", "string"]
    assert {member.value for member in types["c"].members} == {"x", "y"}
    assert (levels["a"], levels["b"]) == ("required", "required")
    assert levels["d"].conditionally_required == "when the version of the event is 2"
    assert levels["e"].conditionally_required == "when the version of the event is 1"
    assert levels["f"].conditionally_required == "when the version of the event is 2"
    assert event.annotations == {"severity_number": 9, "version": "2", "versions": ["1", "2"]}
    assert read_v1(weaver_v1(schemas(red, blue)))


def test_event_with_two_names_is_exported_under_both() -> None:
    """With `emit_both`, events of both names arrive."""
    cls = make_dataclass("Ban", [("x", int)], bases=(Event,), namespace={"name": "ban"})
    cls.__event_options__ = dataclasses.replace(
        cls.__event_options__, deprecated=Deprecated(renamed_to="app.block", emit_both=True)
    )

    registry = read_v2(weaver_v2(schemas(cls)))

    assert [event.name for event in registry.events] == ["app.ban", "app.block"]
    assert {"app.ban.x", "app.block.x"} <= {each.key for each in registry.attributes}


def test_key_below_a_template_of_the_conventions_is_referred_to_by_the_template() -> None:
    """Weaver knows the template, and none of the keys below it."""
    hint = Annotated[list[str], Attribute("http.request.header.accept")]
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    (event,) = read_v2(weaver_v2(schemas(cls))).events

    assert event.attributes[0].ref == "http.request.header"


def test_examples_obey_their_own_pattern() -> None:
    """A declared example that does not is omitted; without any, one is made."""
    pattern = msgspec.Meta(pattern=r"^[A-Z]{3}-\d+$")
    declared = Annotated[str, pattern, Attribute(examples=["no", "ABC-7"])]
    cls = make_dataclass(
        "E", [("x", declared), ("y", Annotated[str, pattern])], bases=(Event,), namespace={"name": "e"}
    )

    attributes = {each.key: each for each in read_v2(weaver_v2(schemas(cls))).attributes}

    assert attributes["app.e.x"].examples == ["ABC-7"]
    assert attributes["app.e.y"].examples == ["AAA-0"]


def test_members_of_an_enum_have_ids_of_their_own() -> None:
    """The names of members may differ in case only, or be empty."""
    cls = make_dataclass("E", [("x", Literal["a", "A", ""])], bases=(Event,), namespace={"name": "e"})

    attribute = next(each for each in read_v2(weaver_v2(schemas(cls))).attributes if each.key == "app.e.x")

    assert [(member.id, member.value) for member in attribute.type.members] == [("a", "a"), ("a_2", "A"), ("empty", "")]


def test_arguments_of_type_parameters_are_declared() -> None:
    """Name, type and privacy are those of the argument, directly and inside of a class."""
    masked = Annotated[str, Attribute(privacy=Privacy.MASK)]
    fields = [
        ("x", Struct[Annotated[float, Attribute("shop.box.size", unit="m")]]),
        ("w", Box[float]),
        ("y", Frozen[masked]),
        ("z", Frozen),
        ("numbers", Numbers),
    ]
    cls = make_dataclass("E", fields, bases=(Event,), namespace={"name": "e"})

    found = {each.key: (each.type, each.annotations) for each in read_v2(weaver_v2(schemas(cls))).attributes}

    private = {"privacy": {"action": "mask"}}
    assert found["shop.box.size"] == ("double", {"unit": "m"})
    assert found["app.e.w.others"][0] == "double[]"
    assert found["app.e.y.content"] == found["app.e.z.content"] == ("string", private)
    assert found["app.e.numbers"][0] == "int[]"


def test_combinations_of_flags_are_members() -> None:
    """Each has an id of its own, and so has the value without a flag. More than six flags are a number."""
    many: Any = enum.IntFlag("Many", list("abcdefg"))
    fields = [("x", Permission | None), ("y", many), ("z", list[Permission])]
    cls = make_dataclass("E", fields, bases=(Event,), namespace={"name": "e"})

    found = {each.key: each.type for each in read_v2(weaver_v2(schemas(cls))).attributes}

    assert [(member.id, member.value) for member in found["app.e.x"].members] == [
        ("none", 0),
        ("read", 1),
        ("write", 2),
        ("read_write", 3),
    ]
    assert (found["app.e.y"], found["app.e.z"]) == ("int", "int[]")


def type_of(value: object) -> str:
    if isinstance(value, list):
        return f"{type_of(value[0])}[]" if value else "[]"
    return {bool: "boolean", int: "int", float: "double", str: "string"}[type(value)]


@given(st.sampled_from(FITTING), st.data())
def test_registry_has_every_attribute_of_a_valid_event(
    pair: tuple[Any, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    """The registry has the name of each attribute, or a template above it, and the type."""
    hint, values = pair
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    schema = compile_schema(cls, namespace="app")
    violations: list[Violation] = []
    attributes = EventReader(schema).attributes(cls(data.draw(values)), violations)
    assume(not violations)
    defined = {each.key: each.type for each in read_v2(weaver_v2([schema])).attributes}
    defined = {
        name: kind if isinstance(kind, str) else type_of(kind.members[0].value) for name, kind in defined.items()
    }

    for name, value in attributes.items():
        above = next(key for key in defined if name == key or name.startswith(f"{key}."))
        assert defined[above] == "template[any]" or type_of(value) in {defined[above], "[]"}, (name, value)


@pytest.mark.parametrize(
    ("hint", "examples"),
    [
        (Annotated[float, Attribute(examples=[3])], [3.0]),
        (Annotated[int, Attribute(examples=[3])], [3]),
        (Annotated[bool, Attribute(examples=[True])], [True]),
        (Annotated[list[int], Attribute(examples=[[1, 2]])], [[1, 2]]),
        (Annotated[dict[str, int], Attribute(examples=[{"a": 1}])], ['{"a":1}']),
        (Annotated[list[str], Attribute()], [["<x>"]]),
        (Annotated[str, Attribute()], ["<x>"]),
        (Annotated[str, Attribute(examples=["a"], privacy=Privacy.MASK)], ["<masked>"]),
        (Annotated[str, Attribute(examples=["a"], privacy=Privacy.HASH)], [f"hmac-sha256:{'0' * 64}"]),
        (Annotated[str, Attribute(examples=["a"], privacy=Privacy.DROP)], ["<text>"]),
        (Annotated[list[str], Attribute(examples=[["a"]], privacy=Privacy.DROP)], [["<text>"]]),
        (Annotated[int, Attribute(examples=[1], privacy=Privacy.DROP)], None),
        (Annotated[int, Attribute()], None),
    ],
)
def test_examples_have_the_type_of_their_attribute(hint: Any, examples: list[Any] | None) -> None:
    """No example shows a value that is masked, hashed or dropped."""
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    attributes = yaml.safe_load(weaver_v2(schemas(cls))["events.yaml"])["attributes"]
    attribute = next(each for each in attributes if each["key"] == "app.e.x")

    assert repr(attribute.get("examples")) == repr(examples)


def test_what_a_class_declares_about_a_convention_is_at_the_reference() -> None:
    """The attribute itself is defined by the semantic conventions."""
    hint = Annotated[str, Attribute("db.namespace", brief="Where it is.", privacy=Privacy.MASK)]
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    (event,) = yaml.safe_load(weaver_v2(schemas(cls))["events.yaml"])["events"]

    assert event["attributes"][0] == {
        "ref": "db.namespace",
        "requirement_level": "required",
        "brief": "Where it is.",
        "annotations": {"privacy": {"action": "mask"}},
    }


@pytest.mark.parametrize(
    ("name", "groups"),
    [("db.namespace", ["registry.db*"]), ("hw.id", ["registry.hardware"]), ("server.address", []), ("shop.e.x", [])],
)
def test_groups_of_the_conventions_in_use_are_imported(name: str, groups: list[str]) -> None:
    """Groups of the resource, the actor and the request are always imported. Some attributes of the conventions have no group."""
    cls = make_dataclass("E", [("x", Annotated[str, Attribute(name)])], bases=(Event,), namespace={"name": "e"})
    of_resource_and_actor = ["deployment", "log", "service", "telemetry", "user"]
    always = [f"registry.{name}*" for name in (*of_resource_and_actor, "http", "url", "user_agent")]

    imports = read_v2(weaver_v2([compile_schema(cls, namespace="app")])).imports

    assert sorted(imports.attribute_groups) == sorted([*always, *groups])
    assert read_v1(weaver_v1([compile_schema(cls, namespace="app")])).imports == imports
