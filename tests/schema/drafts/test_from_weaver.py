"""Event classes that are drafted from Weaver registries: our own exports, and those of other people."""

from __future__ import annotations

import json
from dataclasses import make_dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drafted import schemas_of
from heliograph import Attribute, Deprecated, Event, Privacy, Severity
from heliograph.errors import FileFormatError
from heliograph.events import EventOptions
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.drafts.draft import ClassDraft, EnumDraft, FieldDraft
from heliograph.schema.drafts.from_weaver import drafts_of_weaver
from heliograph.schema.drafts.python_source import python_source
from heliograph.schema.drafts.weaver_registry import WeaverRegistry
from heliograph.schema.export.weaver_v1 import weaver_v1
from heliograph.schema.export.weaver_v2 import weaver_v2
from heliograph.schema.model.types import without_null
from profiles import examples
from schema.shop_events import BanEvent, OrderEvent
from schema.typed_values import FITTING


def written(directory: Path, files: dict[str, str]) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def source_of(directory: Path) -> str:
    drafts, skipped = drafts_of_weaver(WeaverRegistry(directory))
    assert skipped == []
    return python_source(drafts, origin="a test")


@pytest.mark.parametrize("exporter", [weaver_v2, weaver_v1])
def test_an_exported_registry_gives_classes_that_export_the_same(tmp_path: Path, exporter: Any) -> None:
    """In both file formats, the files are the same byte by byte."""
    from datasette.events import register_events

    schemas = [compile_schema(cls, namespace="app") for cls in (OrderEvent, BanEvent, *register_events())]

    again = schemas_of(source_of(written(tmp_path, exporter(schemas))))

    assert weaver_v2(again) == weaver_v2(schemas)
    assert weaver_v1(again) == weaver_v1(schemas)
    order = next(schema for schema in again if schema.event_name == "shop.order")
    assert (order.severity, order.version, order.stability) == (Severity.WARN, "1", "stable")
    assert order.message == "{actor[id]}: {total} {{}}"


@pytest.mark.parametrize("exporter", [weaver_v2, weaver_v1])
@pytest.mark.parametrize("severity", [1, 14, Severity.WARN, 24])
def test_each_severity_is_kept(tmp_path: Path, exporter: Any, severity: int) -> None:
    """A number without a name of its own is, too: 14 is WARN2."""
    cls = make_dataclass("E", [], bases=(Event,), namespace={"name": "e"})
    cls.__event_options__ = EventOptions(namespace="shop", severity=severity)

    source = source_of(written(tmp_path, exporter([compile_schema(cls, namespace="app")])))

    assert [schema.severity for schema in schemas_of(source)] == [severity]
    assert ("severity=14" in source) == (severity == 14)


texts = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1)


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([hint for hint, _ in FITTING]), max_size=5), st.data())
def test_any_exported_registry_is_read_back(tmp_path: Path, hints: list[Any], data: st.DataObject) -> None:
    """The classes may have any types and any texts."""
    fields = []
    for index, hint in enumerate(hints):
        declared = Attribute(
            data.draw(st.sampled_from([None, f"shop.x{index}", f"other.thing.x_{index}"])),
            brief=data.draw(st.none() | texts),
            note=data.draw(st.none() | texts),
            privacy=data.draw(st.none() | st.sampled_from(Privacy)),
            requirement=data.draw(st.sampled_from([None, "recommended", "opt_in", "conditionally_required: if: so"])),
            unit=data.draw(st.none() | texts),
            deprecated=data.draw(st.sampled_from([None, Deprecated(note="old"), Deprecated(renamed_to="shop.new")])),
        )
        fields.append((f"x{index}", Annotated[hint, declared]))
    cls = make_dataclass("E", fields, bases=(Event,), namespace={"name": "e", "__doc__": data.draw(texts)})
    schemas = [compile_schema(cls, namespace="shop")]

    files = weaver_v2(schemas)

    assert weaver_v2(schemas_of(source_of(written(tmp_path, files)))) == files


FIRST = """
groups:
  - id: registry.shop
    type: attribute_group
    brief: Attributes.
    attributes:
      - id: shop.user
        type: string
        brief: Who.
        examples: alice
        stability: experimental
      - id: shop.mode
        type:
          members:
            - {id: fast_lane, value: fast, brief: The fast one., stability: stable}
            - {id: slow_lane, value: slow, brief: The slow one., stability: stable}
        stability: stable
        brief: How.
      - id: shop.header
        type: template[string[]]
        brief: Headers.
        stability: stable
  - id: shop.common
    type: attribute_group
    brief: What all have.
    attributes:
      - ref: shop.user
        requirement_level: required
  - id: event.shop.order_paid
    type: event
    name: shop.order_paid
    extends: shop.common
    brief: >
      An order
      was paid.
    stability: experimental
    deprecated: Use something else.
    attributes:
      - ref: shop.mode
        requirement_level:
          conditionally_required: if known
        note: Only here.
      - ref: shop.header
      - ref: db.namespace
"""

SECOND = """
file_format: definition/2
attributes:
  - {key: shop.user, type: string, brief: Who., stability: stable}
attribute_groups:
  - id: common
    visibility: internal
    attributes:
      - {ref: shop.user, requirement_level: required}
events:
  - name: shop.order_paid
    brief: An order was paid.
    stability: stable
    attributes:
      - ref_group: common
"""


def test_a_registry_in_the_older_format(tmp_path: Path) -> None:
    """The older format has groups that extend others, references, templates, a condition, and what no other format has."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "events.yml").write_text(FIRST)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "broken.yaml").write_text("[")

    source = source_of(tmp_path)

    assert (
        source
        == '''"""Typed events, drafted from a test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from heliograph import Attribute, Deprecated, Event


class OrderPaidMode(Enum):
    FAST_LANE = "fast"
    SLOW_LANE = "slow"


@dataclass(kw_only=True)
class OrderPaid(Event, namespace="shop", deprecated=Deprecated(note="Use something else.")):
    """An order was paid."""

    name = "order-paid"
    user: Annotated[str, Attribute("shop.user", brief="Who.", examples=["alice"])]
    mode: Annotated[
        OrderPaidMode | None,
        Attribute("shop.mode", brief="How.", note="Only here.", requirement="conditionally_required: if known"),
    ] = None
    header: Annotated[dict[str, list[str]] | None, Attribute("shop.header", brief="Headers.")] = None
    db_namespace: Annotated[str | None, Attribute("db.namespace")] = None
'''
    )
    assert [schema.event_name for schema in schemas_of(source)] == ["shop.order_paid"]


def test_a_registry_in_definition_2_with_groups(tmp_path: Path) -> None:
    """The attributes of a group are attributes of the event."""
    (tmp_path / "events.yaml").write_text(SECOND)

    (schema,) = schemas_of(source_of(tmp_path))

    assert [(field.name, field.attribute, field.required) for field in schema.fields or ()] == [
        ("user", "shop.user", True)
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1, 2", r"events\.yaml: .*while parsing"),
        ("- 1", r"events\.yaml: Expected `object`, got `array`"),
        ("events: 3", r"events\.yaml: Expected `array`, got `int` - at `\$\.events`"),
        ("events: [{name: 3}]", r"at `\$\.events\[0\]\.name`"),
        ("a: &a [*a]\nevents: *a", r"events\.yaml: "),
        ("events: [{name: a.b, attributes: [{ref: no.such}]}]", r"'a\.b' refers to the attribute 'no\.such'"),
        (
            "events: [{name: a.b, attributes: [{ref_group: none}]}]",
            r"'a\.b' includes the group 'none', which is not defined",
        ),
        (
            "groups: [{id: g, type: attribute_group, extends: g}, {id: e, type: event, name: a.b, extends: g}]",
            "includes itself",
        ),
        ("!!python/object/apply:os.abort []", r"events\.yaml: "),
    ],
)
def test_a_file_that_is_not_a_registry_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    """The error names the file and the place in it."""
    (tmp_path / "events.yaml").write_text(text)

    with pytest.raises(FileFormatError, match=problem):
        drafts_of_weaver(WeaverRegistry(tmp_path))


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    """The error names the folder."""
    with pytest.raises(FileFormatError, match="no registry files"):
        WeaverRegistry(tmp_path)


def test_what_a_class_cannot_express_is_skipped_and_reported(tmp_path: Path) -> None:
    """An event without a namespace, and an attribute with upper-case letters; the rest is drafted."""
    text = "attributes: [{key: a.Big, type: int}]\nevents: [{name: exception}, {name: a.b, attributes: [{ref: a.Big}]}]"
    (tmp_path / "events.yaml").write_text(text)

    drafts, skipped = drafts_of_weaver(WeaverRegistry(tmp_path))

    assert [draft.name for draft in drafts] == ["B"]
    assert [each.split(":")[0] for each in skipped] == ["the attribute 'a.Big' of 'a.b'", "the event 'exception'"]


def test_an_event_that_cannot_be_registered_is_skipped_and_reported(tmp_path: Path) -> None:
    """An event in heliograph's namespace is, and the second of two with one name and version."""
    (tmp_path / "events.yaml").write_text(
        "events: [{name: heliograph.a}, {name: log.record}, {name: a.b}, {name: a.b, brief: again}]"
    )

    drafts, skipped = drafts_of_weaver(WeaverRegistry(tmp_path))

    assert [(draft.name, draft.brief) for draft in drafts] == [("B", "")]
    assert skipped == [
        "the event 'a.b': it is defined twice, with the same version; the first one is drafted",
        "the event 'heliograph.a': the namespace 'heliograph' is reserved for heliograph's own names",
        "the event 'log.record': the name is reserved, because a property could become the unique id",
    ]


SPACES = " " * 200_000


@pytest.mark.parametrize(
    "event",
    [
        {"brief": '"""', "note": 'ends with """'},
        {"brief": 'say "', "note": 'a""b """" c\\"'},
        {"brief": "ends with \\", "note": "a\\"},
        {"brief": "\ud800\u202e\x1b", "note": "\u2028\ud800\x85\x0c"},
        {"brief": f"a{SPACES}b", "note": f"a{SPACES}b"},
        {"note": f"{SPACES}x\n{SPACES}Severity INFO (9).{SPACES}"},
        {"note": f"Severity INFO ({'9' * 100_000})."},
        *(
            {"annotations": {key: value}}
            for key in ("severity_number", "version", "message")
            for value in ([], {}, " ", "")
        ),
        {"annotations": {"message": "{heliograph.actor.} {heliograph.actor.a]b} {user.id!r}"}},
    ],
)
def test_any_text_of_an_event_gives_a_class(tmp_path: Path, event: dict[str, object]) -> None:
    """The module can be imported, the class has a schema, and it takes no longer than the text is long."""
    (tmp_path / "events.yaml").write_text(json.dumps({"events": [{"name": "a.b", **event}]}))

    (schema,) = schemas_of(source_of(tmp_path))

    assert schema.event_name == "a.b"


@pytest.mark.parametrize(
    "member", ["mro", "name", "value", "class", "None", "_value_", "__init__", "", " ", "é", "1", "auto", "self"]
)
def test_any_member_of_an_enum_gives_a_class(tmp_path: Path, member: str) -> None:
    """A member whose name Python refuses gets another one, and the values are kept."""
    members = [{"id": member, "value": "one", "brief": member}, {"id": "other", "value": "two"}]
    document = {
        "attributes": [{"key": "a.b.x", "type": {"members": members}}],
        "events": [{"name": "a.b", "attributes": [{"ref": "a.b.x"}]}],
    }
    (tmp_path / "events.yaml").write_text(json.dumps(document))

    (schema,) = schemas_of(source_of(tmp_path))

    (field,) = schema.fields or ()
    assert without_null(field.type).values == ("one", "two")


def test_values_of_a_wrong_type_are_ignored(tmp_path: Path) -> None:
    """Annotations and requirement levels are anything, in other people's registries."""
    text = """
    attributes: [{key: a.x, type: int, requirement_level: [required], annotations: {privacy: {action: [mask]}, unit: [s]}}]
    events: [{name: a.b, attributes: [{ref: a.x}], annotations: {severity_number: [14], version: [1], message: [x]}}]
    """
    (tmp_path / "events.yaml").write_text(text)

    (schema,) = schemas_of(source_of(tmp_path))

    assert (schema.severity, schema.version, schema.message) == (Severity.INFO, None, None)
    (field,) = schema.fields or ()
    assert (field.requirement, field.declared.privacy, field.declared.unit) == ("recommended", None, None)


def drafted_field(tmp_path: Path, definition: str) -> tuple[FieldDraft, tuple[EnumDraft | ClassDraft, ...]]:
    """Return the field for an attribute with this definition, and the classes that it needs."""
    text = f"attributes: [{{key: a.x, {definition}}}]\nevents: [{{name: a.b, attributes: [{{ref: a.x}}]}}]"
    (tmp_path / "events.yaml").write_text(text)
    ([draft], []) = drafts_of_weaver(WeaverRegistry(tmp_path))
    return draft.fields[0], draft.needs


@pytest.mark.parametrize(
    ("members", "annotation", "names"),
    [
        ("{value: a, id: a}", 'Literal["a"]', []),
        ("{value: a, id: a, brief: a}, {value: b, id: b}", 'Literal["a", "b"]', []),
        ("{value: a, id: a}, {value: a, id: again}", 'Literal["a"]', []),
        ("{value: 1, id: '1'}", "Literal[1]", []),
        ("{value: a, id: a, brief: The first one.}", "BX", ["A"]),
        ("{value: a, id: first}", "BX", ["FIRST"]),
        ("{value: a, id: first, brief: First}", "BX", ["First"]),
        ("{value: a, id: first, brief: Other}", "BX", ["FIRST"]),
        ("{value: a, id: a-b, brief: A-B}", "BX", ["A_B"]),
        ("{value: 1, id: one}, {value: 1.5, id: more}", "float", []),
        ("{value: a, id: a}, {value: 1, id: one}", "Any", []),
        ("{value: true, id: yes}, {id: none}, 3", "Any", []),
        ("", "Any", []),
    ],
)
def test_an_enum_is_a_class_if_its_names_or_briefs_say_more_than_its_values(
    tmp_path: Path, members: str, annotation: str, names: list[str]
) -> None:
    """Every other one is a `Literal`. Of members with the same value, the first counts."""
    field, needs = drafted_field(tmp_path, f"type: {{members: [{members}]}}")

    assert field.annotation == annotation
    assert [name for each in needs if isinstance(each, EnumDraft) for name, _ in each.members] == names


@pytest.mark.parametrize(
    ("definition", "examples"),
    [
        ("type: string, examples: a", ("a",)),
        ("type: string, examples: [a, b]", ("a", "b")),
        ("type: 'string[]', examples: [a, b]", (["a", "b"],)),
        ("type: 'string[]', examples: [[a, b], [c]]", (["a", "b"], ["c"])),
        ("type: 'string[]', examples: [[a, {b: c}], [d]]", (["d"],)),
        ("type: double, examples: [1.5, .nan, .inf]", (1.5,)),
        ("type: any, examples: [{a: b}, null, [], 3]", (3,)),
        ("type: string", ()),
    ],
)
def test_examples_that_are_literals_are_kept(tmp_path: Path, definition: str, examples: tuple[object, ...]) -> None:
    """One, or several in a list; of a list type, one or several lists."""
    assert drafted_field(tmp_path, definition)[0].declared.examples == examples


@pytest.mark.parametrize(
    ("level", "requirement"),
    [
        ("required", "required"),
        ("opt_in", "opt_in"),
        ("recommended", None),
        ("{recommended: if cheap}", None),
        ("{opt_in: for a reason}", "opt_in"),
        ("conditionally_required", "conditionally_required: see its note"),
        ("{conditionally_required: ''}", "conditionally_required: see its note"),
        ("{conditionally_required: if so}", "conditionally_required: if so"),
        ("{unknown: 3}", None),
        ("{}", None),
        ("7", None),
    ],
)
def test_requirement_levels(tmp_path: Path, level: str, requirement: str | None) -> None:
    """A level is a word, or a mapping with an explanation. Others are recommended, which need not be declared."""
    field, _ = drafted_field(tmp_path, f"type: int, requirement_level: {level}")

    assert (field.required, field.declared.requirement) == (
        requirement == "required",
        None if requirement == "required" else requirement,
    )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{shop.customer.name} paid", "{customer[name]} paid"),
        ("{user.id}: {heliograph.actor.team}", "{actor[id]}: {actor[team]}"),
        ("{{}} {shop.customer}", "{{}} {customer}"),
        ("{shop.other}", None),
        ("{shop.customer", None),
    ],
)
def test_message_has_the_names_of_the_fields(tmp_path: Path, template: str, message: str | None) -> None:
    """A template that refers to something else, or is none, is not drafted."""
    text = f"""
    attributes: [{{key: shop.customer, type: "template[string]"}}]
    events: [{{name: shop.sale, attributes: [{{ref: shop.customer}}], annotations: {{message: "{template}"}}}}]
    """
    (tmp_path / "events.yaml").write_text(text)

    (draft,), skipped = drafts_of_weaver(WeaverRegistry(tmp_path))

    assert (draft.options.message, list(skipped)) == (message, [])
