"""Event classes that are drafted from recorded events."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drafted import schemas_of
from heliograph import Attribute, Event, Privacy, Settings, Severity, acting_as
from heliograph.schema.drafts.from_events import RecordedEvent, drafts_of_recorded
from heliograph.schema.drafts.python_source import python_source
from heliograph.values.attributes import MAX_KEYS
from heliograph.values.privacy import MASKED
from profiles import examples
from recorder import Telemetry
from registrar import Registrar
from schema.typed_values import FITTING


def source_of(*events: RecordedEvent) -> str:
    drafts, skipped = drafts_of_recorded(events)
    assert skipped == []
    return python_source(drafts, origin="a test")


@pytest.mark.parametrize(("numbers", "severity"), [([14, 14, 9], 14), ([None], 9), ([0, 0, 14], 9)])
def test_the_most_frequent_severity_is_drafted(numbers: list[int | None], severity: int) -> None:
    """A severity may be any number of OpenTelemetry's; otherwise it is INFO."""
    source = source_of(*(recorded({}, severity_number=number) for number in numbers))

    assert [schema.severity for schema in schemas_of(source)] == [severity]


def recorded(attributes: dict[str, Any], name: str = "shop.order", **values: Any) -> RecordedEvent:
    return RecordedEvent(event_name=name, attributes=attributes, **values)


def test_what_all_events_have_in_common_is_drafted() -> None:
    """Fields that are always there are required; keys that occur together are a class, others a dict; times are times."""
    when, uid = "2026-01-02T03:04:05Z", "0d5f7b0e-6c2a-4f0b-9f6e-3d1a2b4c5d6e"
    first = {
        "shop.order.total": 3,
        "shop.order.at": when,
        "shop.order.uid": uid,
        "shop.order.customer.id": 1,
        "shop.order.customer.name": "Ada",
        "shop.order.stock.apples": 2,
        "shop.order.lines": '[{"sku":"a"}]',
        "shop.order.tags": ["a"],
        "shop.order.secret": "<masked>",
        "shop.order.email": f"hmac-sha256:{'0' * 64}",
        "db.namespace": "main",
        "shop.tenant": "acme",
        "user.id": "root",
        "log.record.uid": "x",
        "heliograph.event.version": "2",
    }
    second = {
        **first,
        "shop.order.total": 1.5,
        "shop.order.stock.pears": 1,
        "shop.order.stock.plums": 1,
        "shop.order.why": "late",
    }
    third = {**first, "shop.order.stock.figs": 7}

    source = source_of(*(recorded(each, severity_number=13) for each in (first, second, third)))

    assert (
        source
        == '''"""Typed events, drafted from a test."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from heliograph import Attribute, Event, Privacy, Severity


@dataclass(kw_only=True)
class Order2Customer:
    id: int
    name: str


@dataclass(kw_only=True)
class Order2(Event, namespace="shop", version="2", severity=Severity.WARN):
    name = "order"
    total: float
    at: dt.datetime
    uid: uuid.UUID
    customer: Order2Customer
    stock: dict[str, int] | None = None
    lines: list[Any]
    tags: list[str]
    secret: Annotated[str | None, Attribute(privacy=Privacy.MASK)] = None
    email: Annotated[str | None, Attribute(privacy=Privacy.HASH)] = None
    why: str | None = None
    db_namespace: Annotated[str, Attribute("db.namespace")]
    tenant: Annotated[str, Attribute("shop.tenant")]
'''
    )
    assert [schema.label for schema in schemas_of(source)] == ["shop.order@2"]


def test_events_with_impossible_names_are_skipped_and_reported() -> None:
    """Each of them has a line, and the other events are drafted."""
    drafts, skipped = drafts_of_recorded(
        [recorded({}, "UPPER"), recorded({}), recorded({}, "heliograph.own"), recorded({}, "log.record")]
    )

    assert [draft.name for draft in drafts] == ["Order"]
    assert skipped == [
        "the event 'UPPER': a class cannot have this name",
        "the event 'heliograph.own': a class cannot have this name",
        "the event 'log.record': a class cannot have this name",
    ]


def test_own_events_are_neither_drafted_nor_reported() -> None:
    """heliograph has classes for its own events."""
    assert drafts_of_recorded([recorded({}, "heliograph.token_created")]) == ([], [])


def test_attributes_that_a_class_cannot_have_are_skipped_and_reported() -> None:
    """The others are drafted. Attributes of the actor, and those that heliograph adds, are no fields and are not reported."""
    found = {
        "shop.order.total": 1,
        "shop.order.created": "now",
        "shop.order.class.a": 1,
        "shop.order.int": 1,
        "shop.order.two words": 1,
        "db.namespace": 7,
        "other": 1,
        "user.id": "root",
        "log.record.uid": "x",
        "heliograph.event.violations": ["x"],
    }

    drafts, skipped = drafts_of_recorded([recorded(found)])

    assert [field.name for field in drafts[0].fields] == ["total"]
    assert [each.partition(":")[0] for each in skipped] == [
        f"the attribute {name!r} of 'shop.order'"
        for name in (
            "shop.order.created",
            "shop.order.class.a",
            "shop.order.int",
            "shop.order.two words",
            "db.namespace",
            "other",
        )
    ]
    assert "a class cannot have a field named 'created'" in skipped[0]
    assert "as string, not int" in skipped[4]


def test_classes_of_several_events_have_names_of_their_own() -> None:
    """A nested class has the names of its event and its field, which may be the name of another event."""
    rows = [
        recorded({"shop.order.customer.id": 1}),
        recorded({"shop.order_customer.id": 1}, "shop.order_customer"),
        recorded({"market.order.customer.id": 1}, "market.order"),
    ]

    drafts, _ = drafts_of_recorded(rows)

    assert [(draft.event_name, draft.name, [each.name for each in draft.needs]) for draft in drafts] == [
        ("order", "Order", ["OrderCustomer"]),
        ("order", "Order_2", ["Order2Customer"]),
        ("order-customer", "OrderCustomer_2", []),
    ]


HASHED = f"hmac-sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("values", "annotation"),
    [
        ([1, 2], "int"),
        ([1, 1.5], "float"),
        ([True, False], "bool"),
        ([True, 1], "bool | int"),
        ([True, 1, 1.5, "a"], "bool | float | int | str"),
        ([[1], [2]], "list[int]"),
        ([[1, "a"]], "list[Any]"),
        ([[]], "list[Any]"),
        ([[1], ["a"]], "Any"),
        ([[1], 1], "Any"),
        ([{"a": 1}], "dict[str, Any]"),
        ([{"a": 1}, 1], "Any"),
        ([None], "Any"),
        ([1, None], "Any"),
        (["a", "b"], "str"),
        (["2026-01-02", "2026-01-03"], "dt.date"),
        (["2026-01-02", "soon"], "str"),
        (["2026-01-02", "2026-01-02T03:04:05Z"], "str"),
        (["[1]", "[]"], "list[Any]"),
        (['{"a":1}', "{}"], "dict[str, Any]"),
        (["[1]", "{}"], "str"),
        (["[1]", "1"], "str"),
        (["{bad"], "str"),
        (["[" * 100_000], "str"),
        ([MASKED, "a"], "str"),
        ([HASHED, "a"], "str"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_annotation_fits_every_recorded_value(values: list[Any], annotation: str) -> None:
    """The annotation is the narrowest that a draft can have, or ``Any``."""
    drafts, _ = drafts_of_recorded(recorded({"shop.order.x": value}) for value in values)

    [field] = drafts[0].fields
    assert (field.annotation, field.required) == (annotation, True)
    assert field.declared.privacy is None


@pytest.mark.parametrize(("value", "privacy"), [(MASKED, Privacy.MASK), (HASHED, Privacy.HASH)])
def test_a_value_that_was_always_protected_is_optional(value: str, privacy: Privacy) -> None:
    """A process without a key drops what it should hash."""
    drafts, _ = drafts_of_recorded(recorded({"shop.order.x": value}) for _ in range(2))

    [field] = drafts[0].fields
    assert (field.annotation, field.required, field.declared.privacy) == ("str", False, privacy)


@pytest.mark.parametrize(
    ("rows", "annotation", "required"),
    [
        ([{"a": 1, "b": 1}, {"a": 1}], "OrderX", True),
        ([{"a": 1}, {"a": 1}, {"b": 1}, {"a": 1}], "dict[str, int]", False),
        ([{"a": 1, "b": 1}, {}], "OrderX", False),
        ([{"a": 1, "two words": 1}], "dict[str, int]", False),
        ([{"a": 1, "two words": "x"}], "dict[str, int | str]", False),
        ([{"a.b": 1, "two words": 1}], "dict[str, Any]", False),
        ([{f"k{number}": 1 for number in range(MAX_KEYS)}], "OrderX", True),
        ([{f"k{number}": 1 for number in range(MAX_KEYS + 1)}], "dict[str, int]", False),
    ],
    ids=["half", "less than half", "missing", "no name", "several types", "deep", "many keys", "too many keys"],
)
def test_keys_are_a_class_or_a_dict(rows: list[dict[str, Any]], annotation: str, *, required: bool) -> None:
    """Keys become the fields of a class if each is in at least half of the instances, and can be a field."""
    found = [recorded({f"shop.order.x.{key}": value for key, value in row.items()}) for row in rows]

    [field] = drafts_of_recorded(found)[0][0].fields

    assert (field.annotation, field.required) == (annotation, required)


def test_a_name_with_a_value_and_with_keys_has_any_type() -> None:
    """A property that was a dict in some events and a value in others is no dict."""
    drafts, _ = drafts_of_recorded([recorded({"shop.order.x": 1}), recorded({"shop.order.x.a": 1})])

    assert [(field.name, field.annotation, field.required) for field in drafts[0].fields] == [("x", "Any", False)]


@dataclass
class Customer:
    id: int
    name: Annotated[str, Attribute(privacy=Privacy.HASH)]


@dataclass
class SaleEvent(Event, namespace="shop", version="1", severity=Severity.ERROR):
    """A sale."""

    name = "sale"
    total: int
    at: dt.datetime
    customer: Customer
    tags: list[str]
    why: str | None = None


def test_recorded_events_give_a_class_like_their_own() -> None:
    """Types, requirement, privacy, severity and version are the same, as far as events show them."""
    telemetry = Telemetry()
    now = dt.datetime.now(dt.timezone.utc)
    with (
        telemetry.host(Registrar(SaleEvent), settings=Settings(secret=("s",), privacy_key="k")) as host,
        acting_as({"id": "root"}),
    ):
        host.track(SaleEvent(total=1, at=now, customer=Customer(1, "Ada"), tags=["a"]))
        host.track(SaleEvent(total=2, at=now, customer=Customer(2, "Bob"), tags=["b"], why="x"))
    records = [each.log_record for each in telemetry.logs]

    (schema,) = schemas_of(
        source_of(
            *(
                recorded(dict(each.attributes), each.event_name, severity_number=each.severity_number.value)
                for each in records
            )
        )
    )

    assert (schema.label, schema.severity) == ("shop.sale@1", Severity.ERROR)
    assert [
        (attribute.path, attribute.wire_type, attribute.required, attribute.privacy)
        for attribute in schema.wire_attributes()
    ] == [
        ("total", "int", True, Privacy.PLAIN),
        ("at", "string", True, Privacy.PLAIN),
        ("customer.id", "int", True, Privacy.PLAIN),
        ("customer.name", "string", False, Privacy.HASH),
        ("tags", "string[]", True, Privacy.PLAIN),
        ("why", "string", False, Privacy.PLAIN),
    ]


@settings(max_examples=examples(50))
@given(st.lists(st.sampled_from(FITTING), max_size=4), st.data())
def test_any_emitted_events_give_a_class(pairs: list[Any], data: st.DataObject) -> None:
    """The drafted class can be registered, whatever the values were."""
    fields = [(f"x{index}", hint) for index, (hint, _) in enumerate(pairs)]
    cls = make_dataclass("E", fields, bases=(Event,), namespace={"name": "e"})
    events = data.draw(st.lists(st.builds(cls, *(values for _, values in pairs)), min_size=1, max_size=3))
    telemetry = Telemetry()

    with telemetry.host(Registrar(cls)) as host:
        for event in events:
            host.track(event)
    found = [recorded(dict(each.log_record.attributes), "app.e") for each in telemetry.logs]

    (schema,) = schemas_of(source_of(*found))

    named = {field.name for field in schema.fields or ()}
    assert named <= {f"x{index}" for index in range(len(pairs))}


@given(
    st.lists(
        st.dictionaries(
            st.from_regex(r"(shop\.order\.|db\.|)[a-zA-Z_. é-]{0,12}", fullmatch=True),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
                max_leaves=4,
            ),
            max_size=5,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_events_of_other_programs_give_a_class(rows: list[dict[str, Any]]) -> None:
    """The attributes of other programs may have any names and values."""
    drafts, skipped = drafts_of_recorded(map(recorded, rows))
    (schema,) = schemas_of(python_source(drafts, origin="a test"))

    assert schema.event_name == "shop.order"
    assert all("a class cannot" in each or "names must" in each or "semantic conventions" in each for each in skipped)


@pytest.mark.parametrize(
    ("texts", "annotation"),
    [
        (["[1]", '[{"a": 1}]'], "list[Any]"),
        (['{"a": 1}', "{}"], "dict[str, Any]"),
        (["[1]", "{}"], "str"),
        (["[x]", "{y}"], "str"),
        (["[" * 100_000], "str"),
    ],
)
def test_text_in_json_is_a_list_or_a_dict(texts: list[str], annotation: str) -> None:
    """Each of the recorded texts has to be. One that only begins like JSON, or is nested too deeply to be read, is text."""
    (draft,), _ = drafts_of_recorded([recorded({"shop.order.data": text}) for text in texts])

    assert [field.annotation for field in draft.fields] == [annotation]


def test_object_is_a_dict() -> None:
    """A recording may contain one, although no attribute of OpenTelemetry's API can be one."""
    (draft,), _ = drafts_of_recorded([recorded({"shop.order.data": {"a": 1}, "shop.order.size": 1})])

    assert {field.name: field.annotation for field in draft.fields} == {"data": "dict[str, Any]", "size": "int"}


@pytest.mark.parametrize("version", ["", " ", "\n", 1, ["1"], {"a": "1"}])
def test_a_version_that_a_class_cannot_have_is_ignored(version: Any) -> None:
    """The class can be registered. Unique ids and actors of other types do not matter either."""
    attributes = {"heliograph.event.version": version, "log.record.uid": ["a"], "user.id": ["b"], "shop.sale.id": ["c"]}

    drafts, skipped = drafts_of_recorded([RecordedEvent(event_name="shop.sale", attributes=attributes)])

    [schema] = schemas_of(python_source(drafts, origin="a test"))
    assert skipped == []
    assert (schema.version, [field.name for field in schema.fields or ()]) == (None, ["id"])


@pytest.mark.parametrize(
    ("texts", "annotation"), [(["2024-02-29"], "dt.date"), (["2026-02-30"], "str"), (["2026-01-01\n"], "str")]
)
def test_a_text_is_a_date_if_the_day_exists(texts: list[str], annotation: str) -> None:
    """The rule holds for all texts of the attribute."""
    events = [RecordedEvent(event_name="shop.sale", attributes={"shop.sale.day": text}) for text in texts]

    [[draft], _] = drafts_of_recorded(events)

    assert draft.fields[0].annotation == annotation


def test_names_that_a_field_would_change_are_skipped_or_keys() -> None:
    """A field `firstName` would become the attribute `first_name`."""
    attributes = {"shop.sale.firstName": "a", "shop.sale.buyer.firstName": "a"}

    [[draft], skipped] = drafts_of_recorded([RecordedEvent(event_name="shop.sale", attributes=attributes)])

    assert [(field.name, field.annotation) for field in draft.fields] == [("buyer", "dict[str, str]")]
    assert [each.split(":")[0] for each in skipped] == ["the attribute 'shop.sale.firstName' of 'shop.sale'"]
