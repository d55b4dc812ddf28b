"""The content of the catalogue of events."""

from __future__ import annotations

import json
from dataclasses import make_dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from heliograph import Attribute, Deprecated, Event, Privacy, Settings, acting_as
from heliograph.schema.export.catalogue import catalogue
from recorder import Telemetry, without_uid
from registrar import Registrar
from schema.export.pages import BanEvent, Customer, OrderEvent, schema
from schema.typed_values import Color, Point


def test_an_entry_has_all_facts() -> None:
    """An entry has the facts of the event and of each attribute."""
    ban, order = catalogue([schema(OrderEvent), schema(BanEvent)])

    assert (ban.label, ban.brief, ban.deprecated) == ("shop.ban", "The event ban.", "Renamed to shop.block.")
    assert (order.label, order.brief, order.note) == ("shop.order@1", "An order was placed.", "By a customer.")
    assert ("severity", "WARN (13)") in order.facts
    assert [title for title, _ in order.facts] == ["version", "severity", "stability", "message", "class"]
    assert [title for title, _ in ban.facts] == ["severity", "stability", "class"]
    assert "heliograph.event.version" in order.log_record
    assert "heliograph.event.version" not in ban.log_record
    assert [(row.attribute, row.type, row.requirement, row.privacy, row.unit, row.examples) for row in order.rows] == [
        ("shop.order.total", "integer, ≥ 0", "required", "", "{cent}", ("1250",)),
        ("shop.customer.name", "string", "required", "hash", "", ()),
        ("shop.order.customer.country", "string, at most 2 characters", "recommended", "", "", ("GB",)),
        ("shop.order.lines.*", "object of integer", "required", "", "", ()),
        ("shop.order.note", "string", "recommended", "mask", "", ()),
        ("shop.order.sql", "string", "opt_in", "", "", ()),
    ]


def test_the_example_is_what_a_host_emits() -> None:
    """For the same event and key, log record and span event have the same names and values."""
    (entry,) = catalogue([schema(OrderEvent)])
    with acting_as({"id": "root"}):
        event = OrderEvent(total=1250, customer=Customer("<name>"), lines={"<key>": 1}, note="secret", sql="select 1")
    telemetry = Telemetry()
    with telemetry.host(Registrar(OrderEvent), settings=Settings(secret=("s",), privacy_key="example")) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(event)
    log, span_event = telemetry.logs[0].log_record, telemetry.span_events[0]

    record, shown = json.loads(entry.log_record), json.loads(entry.span_event)
    assert without_uid(record["attributes"]) == without_uid(log.attributes)
    assert without_uid(shown["attributes"]) == without_uid(span_event.attributes)
    assert (record["body"], record["event_name"], record["severity_number"]) == (
        log.body,
        log.event_name,
        log.severity_number.value,
    )
    assert shown["name"] == span_event.name


def test_queries_find_the_event() -> None:
    """Loki, Tempo and Jaeger have a query each."""
    (entry,) = catalogue([schema(OrderEvent)])

    assert [(query.where, query.text) for query in entry.queries] == [
        ("LogQL (Loki)", '{service_name=~".+"} | event_name="shop.order" | user_id="root"'),
        ("TraceQL (Tempo)", '{ event:name = "shop.order" && event.user.id = "root" }'),
        ("Jaeger, tags", "otel.event.name=shop.order shop.order.total=1250 user.id=root"),
    ]


def test_a_query_quotes_values_with_special_characters() -> None:
    """Jaeger reads tags in the format logfmt."""
    hint = Annotated[str, Attribute(examples=['a "b"'])]
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    (entry,) = catalogue([schema(cls)])

    assert entry.queries[-1].text == r'otel.event.name=app.e app.e.x="a \"b\"" user.id=root'


def test_a_query_for_jaeger_uses_an_attribute_of_this_event_alone() -> None:
    """The first attribute below its name that has one value is used. Lists, shared attributes and those of other events are not."""
    fields: list[tuple[str, Any]] = [
        ("shared", Annotated[str, Attribute("db.namespace")]),
        ("other", Annotated[str, Attribute("app.every.other")]),
        ("many", list[int]),
        ("own", int),
    ]
    own, none = (make_dataclass("E", some, bases=(Event,), namespace={"name": "e"}) for some in (fields, fields[:3]))

    assert catalogue([schema(own)])[0].queries[-1].text == "otel.event.name=app.e app.e.own=1 user.id=root"
    assert catalogue([schema(none)])[0].queries[-1].text == "otel.event.name=app.e user.id=root"


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Any, "any"),
        (bool, "boolean"),
        (int, "integer"),
        (Annotated[float, Meta(gt=0, le=1.5)], "number, > 0, ≤ 1.5"),
        (Annotated[int, Meta(ge=0, lt=9, multiple_of=3)], "integer, ≥ 0, < 9, a multiple of 3"),
        (Annotated[str, Meta(pattern="^a", min_length=1)], "string, with ^a, at least 1 character"),
        (bytes, "base64"),
        (Color, "one of red, blue"),
        (Literal["a", 1], "one of a, 1"),
        (Literal["a"] | None, "one of a"),
        (list[int], "list of integer"),
        (tuple[int, str], "[integer, string], at least 2 items, at most 2 items"),
        (tuple[()], "empty list, at least 0 items, at most 0 items"),
        (dict[str, int], "object of integer"),
        (Annotated[dict[str, int], Meta(max_length=2)], "object of integer, at most 2 keys"),
        (list[Point], "list of Point"),
        (int | str, "integer or string"),
    ],
)
def test_types_are_described(hint: Any, text: str) -> None:
    """A description has a few words, and the constraints."""
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    (entry,) = catalogue([schema(cls)])

    assert entry.rows[0].type == text


@pytest.mark.parametrize(
    ("deprecated", "text"),
    [
        (Deprecated(renamed_to="shop.new"), "Renamed to shop.new."),
        (Deprecated(note="Nobody reads it."), "It has no successor. Nobody reads it."),
        (Deprecated(), "It has no successor."),
    ],
)
def test_a_deprecation_is_a_sentence(deprecated: Deprecated, text: str) -> None:
    """The sentence has the new name and the note, if there are any."""
    hint = Annotated[str, Attribute(deprecated=deprecated)]
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})

    assert catalogue([schema(cls)])[0].rows[0].deprecated == text


def test_only_a_plain_dict_has_attributes_by_key() -> None:
    """A masked dict is one attribute, and a dropped one is none."""
    fields = [
        ("a", dict[str, int]),
        ("b", Annotated[dict[str, int], Attribute(privacy=Privacy.MASK)]),
        ("c", Annotated[dict[str, int], Attribute(privacy=Privacy.DROP)]),
        ("d", Any),
    ]
    cls = make_dataclass("E", fields, bases=(Event,), namespace={"name": "e"})

    assert [row.attribute for row in catalogue([schema(cls)])[0].rows] == ["app.e.a.*", "app.e.b", "app.e.c", "app.e.d"]
