"""The exported JSON Schema is valid by the official meta-schema, and accepts the same values as the validation."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.model.types import ZONED, Format
from heliograph.schema.read.validation import violations_of_fields
from heliograph.values.forms import form_of
from heliograph.values.text import to_json
from profiles import examples
from schema.typed_values import FITTING, GenericModel, Node, annotated_values

Validator = jsonschema.Draft202012Validator


def schema_of(**annotations: Any) -> Any:
    cls = make_dataclass("E", annotations.items(), bases=(Event,), namespace={"name": "e"})
    return compile_schema(cls, namespace="app")


@settings(max_examples=examples(200))
@given(annotated_values())
@example((int, 2**63))
@example((int, -(2**63)))
@example((float, 2**70))
def test_the_document_accepts_what_the_validation_accepts(pair: tuple[Any, Any]) -> None:
    """Any type and value have the same verdict, with formats as annotations and as assertions."""
    hint, value = pair
    schema = schema_of(x=hint)
    document = json.loads(to_json({"x": form_of(value)}))
    is_valid = not list(violations_of_fields(document, schema.fields))

    written = json_schema(schema)
    assert Validator(written).is_valid(document) is is_valid
    if is_valid:
        assert Validator(written, format_checker=Validator.FORMAT_CHECKER).is_valid(document)


@given(st.lists(annotated_values(), max_size=3), st.sets(st.integers(0, 2)))
def test_missing_properties_are_rejected_by_both(pairs: list[tuple[Any, Any]], missing: set[int]) -> None:
    """If some properties are missing, document and validation agree."""
    schema = schema_of(**{f"x{index}": hint for index, (hint, _) in enumerate(pairs)})
    document = {f"x{index}": form_of(value) for index, (_, value) in enumerate(pairs) if index not in missing}

    is_valid = not list(violations_of_fields(document, schema.fields))
    assert Validator(json_schema(schema)).is_valid(document) is is_valid


@pytest.mark.parametrize("hint", [hint for hint, _ in FITTING], ids=str)
def test_the_document_is_a_json_schema(hint: Any) -> None:
    """The document is valid by the official meta-schema, and can be written as JSON."""
    written = json_schema(schema_of(x=hint, y=hint | None if hint is not Any else hint))

    Validator.check_schema(written)
    assert json.loads(json.dumps(written, allow_nan=False)) == written


INTEGER = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
TIME = Format.TIME.pattern


@pytest.mark.parametrize(
    ("hint", "written"),
    [
        (Any, {}),
        (None, {"type": "null"}),
        (bool, {"type": "boolean"}),
        (int, INTEGER),
        (Annotated[int, Meta(ge=1, lt=5)], {**INTEGER, "minimum": 1, "exclusiveMaximum": 5}),
        (
            Annotated[int, Meta(gt=0, le=9, multiple_of=3)],
            {**INTEGER, "exclusiveMinimum": 0, "maximum": 9, "multipleOf": 3},
        ),
        (float, {"type": "number"}),
        (Annotated[float, Meta(gt=0.5, le=2)], {"type": "number", "exclusiveMinimum": 0.5, "maximum": 2}),
        (str, {"type": "string"}),
        (Annotated[str, Meta(min_length=2, max_length=3)], {"type": "string", "minLength": 2, "maxLength": 3}),
        (Annotated[str, Meta(pattern="^[a-z]+$")], {"type": "string", "pattern": "^[a-z]+$"}),
        (Annotated[str, Meta(pattern=r"(?P<x>a)(?P=x)")], {"type": "string", "x-patterns": [r"(?P<x>a)(?P=x)"]}),
        (dt.date, {"type": "string", "format": "date", "pattern": Format.DATE.pattern}),
        (dt.time, {"type": "string", "pattern": TIME}),
        (
            Annotated[dt.time, Meta(tz=True)],
            {"type": "string", "format": "time", "pattern": TIME, "allOf": [{"pattern": ZONED}]},
        ),
        (dt.timedelta, {"type": "string", "pattern": Format.DURATION.pattern}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (list[int], {"type": "array", "items": INTEGER}),
        (
            Annotated[list[int], Meta(min_length=1, max_length=2)],
            {"type": "array", "items": INTEGER, "minItems": 1, "maxItems": 2},
        ),
        (
            tuple[bool, str],
            {
                "type": "array",
                "prefixItems": [{"type": "boolean"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (tuple[()], {"type": "array", "items": False, "minItems": 0, "maxItems": 0}),
        (dict, {"type": "object", "additionalProperties": {}}),
        (
            Annotated[dict[str, bool], Meta(min_length=1, max_length=2)],
            {"type": "object", "additionalProperties": {"type": "boolean"}, "minProperties": 1, "maxProperties": 2},
        ),
        (
            dict[Literal["a"], bool],
            {"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": {"type": "boolean"}},
        ),
        (bool | str, {"anyOf": [{"type": "boolean"}, {"type": "string"}]}),
    ],
    ids=str,
)
def test_each_type_has_its_keywords(hint: Any, written: dict[str, Any]) -> None:
    """The types and the constraints of annotations become keywords of JSON Schema, and no others are written."""
    [found] = json_schema(schema_of(x=hint))["properties"].values()

    assert {
        keyword: value for keyword, value in found.items() if keyword not in {"x-attribute", "x-requirement"}
    } == written


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        (Attribute(), {}),
        (Attribute(brief="Short.", note="Long."), {"description": "Short.\n\nLong."}),
        (Attribute(note="Long."), {"description": "Long."}),
        (Attribute(examples=["a"]), {"examples": ["a"]}),
        (Attribute(privacy=Privacy.MASK), {"x-privacy": "mask"}),
        (Attribute(unit="s"), {"x-unit": "s"}),
        (Attribute(deprecated=Deprecated()), {"deprecated": True}),
        (Attribute(deprecated=Deprecated(renamed_to="app.new")), {"deprecated": True, "x-renamed-to": "app.new"}),
    ],
    ids=str,
)
def test_each_declaration_has_its_keywords(declared: Attribute, written: dict[str, Any]) -> None:
    """A keyword without a value is omitted."""
    [found] = json_schema(schema_of(x=Annotated[str, declared]))["properties"].values()

    assert found == {"type": "string", "x-attribute": "app.e.x", "x-requirement": "required", **written}


def test_an_event_that_declares_nothing_has_a_short_document() -> None:
    """A version, description, notice of deprecation, requirement or definition is there only if it is declared."""
    assert json_schema(schema_of()) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:heliograph:app.e",
        "title": "app.e",
        "x-severity": 9,
        "x-stability": "development",
        "type": "object",
        "properties": {},
    }


def test_the_core_events_of_datasette_are_exported() -> None:
    """An event that the core makes is valid by its document."""
    from datasette.events import InsertRowsEvent, register_events

    for cls in register_events():
        Validator.check_schema(json_schema(compile_schema(cls, namespace="app")))
    event = InsertRowsEvent(actor=None, database="d", table="t", num_rows=3, ignore=False, replace=False)
    Validator(json_schema(compile_schema(InsertRowsEvent, namespace="app"))).validate(event.properties())


def test_the_document_has_everything_that_the_class_declares() -> None:
    """Every key of the document is compared."""

    @dataclass
    class OrderEvent(
        Event, namespace="shop", version="2", deprecated=Deprecated(renamed_to="shop.sale"), stability="stable"
    ):
        """An order was placed.

        By telephone.
        """

        name = "order"
        total: Annotated[
            int | None,
            Attribute("shop.order.total", brief="What it costs.", examples=[1], unit="{cent}", privacy=Privacy.HASH),
        ]
        tree: Node | None = None

    OrderEvent.__annotations__["tree"] = Node | None
    assert json_schema(compile_schema(OrderEvent, namespace="app")) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:heliograph:shop.order:2",
        "title": "shop.order",
        "description": "An order was placed.\n\nBy telephone.",
        "deprecated": True,
        "x-version": "2",
        "x-severity": 9,
        "x-stability": "stable",
        "x-renamed-to": "shop.sale",
        "type": "object",
        "properties": {
            "total": {
                "anyOf": [{"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, {"type": "null"}],
                "description": "What it costs.",
                "examples": [1],
                "x-attribute": "shop.order.total",
                "x-requirement": "recommended",
                "x-privacy": "hash",
                "x-unit": "{cent}",
            },
            "tree": {
                "anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}],
                "x-attribute": "shop.order.tree",
                "x-requirement": "recommended",
            },
        },
        "required": ["total"],
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {
                    "value": {
                        "type": "integer",
                        "minimum": -(2**63),
                        "maximum": 2**63 - 1,
                        "x-requirement": "required",
                    },
                    "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}, "x-requirement": "required"},
                },
                "required": ["value", "children"],
            }
        },
    }


def test_class_is_defined_once() -> None:
    """All places refer to one definition; another class of its name has another one."""
    other = make_dataclass("Node", [("value", str)])

    written = json_schema(schema_of(one=Node, two=list[Node], three=other))

    assert list(written["$defs"]) == ["Node", "Node_2"]
    assert written["properties"]["two"]["items"] == {"$ref": "#/$defs/Node"}
    assert written["properties"]["three"]["$ref"] == "#/$defs/Node_2"


@dataclass
class Part_2:
    number: int


@dataclass
class Part:
    text: str


def test_a_class_whose_name_looks_numbered_has_a_definition_of_its_own() -> None:
    """The order of the references does not matter."""
    for first, second in ((Part_2, Part), (Part, Part_2)):
        written = json_schema(schema_of(x=first, y=second))

        assert {name: list(each["properties"]) for name, each in written["$defs"].items()} == {
            "Part_2": ["number"],
            "Part": ["text"],
        }


def test_name_of_a_definition_is_part_of_a_uri() -> None:
    """Pydantic writes the arguments of a generic model into the name of its class."""
    written = json_schema(schema_of(x=GenericModel[dict[str, int]], y=GenericModel[list[int]]))

    assert [set(re.findall(r"[^A-Za-z0-9_.-]", name)) for name in written["$defs"]] == [set(), set()]
    assert written["properties"]["x"]["$ref"] == f"#/$defs/{next(iter(written['$defs']))}"
