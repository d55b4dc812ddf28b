"""Every event that Datasette tracks is emitted, and a failure of the plugin never fails a request."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, make_dataclass
from typing import Any

import datasette.events as core
import pytest
from datasette import Event as DatasetteEvent
from opentelemetry.sdk._logs import LoggerProvider

from heliograph import Event, hookimpl
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.quarantine.store import Quarantine
from heliograph.semconv import SCOPE
from heliograph.tokens.events import TOKEN_EVENTS
from recorder import DeferringStore, Telemetry
from registrar import Registrar

pytestmark = pytest.mark.anyio

ALICE = {"id": "alice", "token": "dstok", "_r": {"a": ["ir"]}, "email": "alice@example.com"}
TABLE = {"database": "data", "table": "plants"}
TABLE_ATTRIBUTES = {"db.namespace": "data", "db.collection.name": "plants"}

CORE_EVENTS: list[tuple[type, dict[str, Any], str, dict[str, Any]]] = [
    (core.LoginEvent, {}, "datasette.login", {}),
    (core.LogoutEvent, {}, "datasette.logout", {}),
    (
        core.CreateTokenEvent,
        {
            "expires_after": 60,
            "restrict_all": ["view-instance"],
            "restrict_database": {"data": ["insert-row"]},
            "restrict_resource": {"data": {"plants": ["drop-table"]}},
        },
        "datasette.create_token",
        {
            "datasette.create_token.expires_after": 60,
            "datasette.create_token.restrict_all": ("view-instance",),
            "datasette.create_token.restrict_database": '{"data":["insert-row"]}',
            "datasette.create_token.restrict_resource": '{"data":{"plants":["drop-table"]}}',
        },
    ),
    (
        core.CreateTableEvent,
        {**TABLE, "schema": "create table plants (id)"},
        "datasette.create_table",
        {**TABLE_ATTRIBUTES, "datasette.create_table.schema": "create table plants (id)"},
    ),
    (core.DropTableEvent, TABLE, "datasette.drop_table", TABLE_ATTRIBUTES),
    (
        core.AlterTableEvent,
        {**TABLE, "before_schema": "create table plants (id)", "after_schema": "create table plants (id, name)"},
        "datasette.alter_table",
        {
            **TABLE_ATTRIBUTES,
            "datasette.alter_table.before_schema": "create table plants (id)",
            "datasette.alter_table.after_schema": "create table plants (id, name)",
        },
    ),
    (
        core.RenameTableEvent,
        {"database": "data", "old_table": "plants", "new_table": "flora"},
        "datasette.rename_table",
        {
            "db.namespace": "data",
            "datasette.rename_table.old_table": "plants",
            "datasette.rename_table.new_table": "flora",
        },
    ),
    (
        core.InsertRowsEvent,
        {**TABLE, "num_rows": 2, "ignore": False, "replace": True},
        "datasette.insert_rows",
        {
            **TABLE_ATTRIBUTES,
            "datasette.insert_rows.num_rows": 2,
            "datasette.insert_rows.ignore": False,
            "datasette.insert_rows.replace": True,
        },
    ),
    (
        core.UpsertRowsEvent,
        {**TABLE, "num_rows": 3},
        "datasette.upsert_rows",
        {**TABLE_ATTRIBUTES, "datasette.upsert_rows.num_rows": 3},
    ),
    (
        core.UpdateRowEvent,
        {**TABLE, "pks": [1, 2]},
        "datasette.update_row",
        {**TABLE_ATTRIBUTES, "datasette.update_row.pks": (1, 2)},
    ),
    (
        core.DeleteRowEvent,
        {**TABLE, "pks": ["a", 2]},
        "datasette.delete_row",
        {**TABLE_ATTRIBUTES, "datasette.delete_row.pks": '["a",2]'},
    ),
]


UNPLANNED = {"heliograph.event.violations": ("unplanned-event",)}


@dataclass
class BanUserEvent(Event, namespace="forum"):
    name = "ban-user"
    user: dict


@dataclass
class NoSchemaEvent(DatasetteEvent):
    name = "Not a name!"
    what: str


@dataclass
class FirstEvent(DatasetteEvent):
    name = "same-name"
    first: int


@dataclass
class SecondEvent(DatasetteEvent):
    name = "same-name"
    second: int


class Failing:
    """A plugin whose `track_event` raises."""

    @hookimpl
    def track_event(self, event):
        raise RuntimeError("this plugin fails")


@pytest.mark.parametrize("case", CORE_EVENTS, ids=lambda case: case[2])
async def test_core_event(instances, telemetry, monkeypatch, case) -> None:
    """An event of Datasette's core has its name, its actor without secrets, and its properties as attributes."""
    event_class, fields, name, attributes = case
    monkeypatch.setenv("HELIOGRAPH_OPT_IN", "*")
    instance = await instances()

    await instance.track_event(event_class(actor=ALICE, **fields))

    assert telemetry.events == [(name, {**attributes, "user.id": "alice"})]


@pytest.mark.parametrize("case", CORE_EVENTS, ids=lambda case: case[2])
async def test_schemas_of_core_events_are_opt_in(instances, telemetry, case) -> None:
    """Attributes that may quote data are not exported by default; all others are, the primary keys of rows included."""
    event_class, fields, name, attributes = case
    instance = await instances()

    await instance.track_event(event_class(actor=None, **fields))

    opt_in = ("schema", "before_schema", "after_schema")
    assert telemetry.events == [(name, {key: value for key, value in attributes.items() if not key.endswith(opt_in)})]


async def test_every_core_event_is_known(instances) -> None:
    """The cases in this file cover every event that Datasette's core registers."""
    instance = await instances()

    assert set(instance.event_classes) - set(TOKEN_EVENTS) == {event_class for event_class, *_ in CORE_EVENTS}


async def test_event_outside_of_a_request_has_no_actor(instances, telemetry) -> None:
    """An event built on heliograph's class may be created without an actor. It is emitted with its fields."""
    instance = await instances(Registrar(BanUserEvent))

    await instance.track_event(BanUserEvent(user={"id": 1, "username": "cleverbot"}))

    assert telemetry.events == [
        ("forum.ban_user", {"forum.ban_user.user.id": 1, "forum.ban_user.user.username": "cleverbot"})
    ]


async def test_class_without_a_schema_is_emitted_untyped_after_one_warning(instances, telemetry, warnings) -> None:
    """Datasette accepts a class of which no schema can be compiled. Its events have the attributes that `properties()` returns."""
    instance = await instances(Registrar(NoSchemaEvent))

    for what in ("a", "b"):
        await instance.track_event(NoSchemaEvent(actor=None, what=what))

    assert telemetry.events == [("app.not_a_name", {"app.not_a_name.what": what, **UNPLANNED}) for what in ("a", "b")]
    [warning] = warnings.messages
    assert "NoSchemaEvent" in warning
    assert "untyped" in warning


async def test_second_class_with_the_same_name_is_emitted_untyped_after_one_warning(
    instances, telemetry, warnings
) -> None:
    """Datasette accepts two classes with the same event name. The first keeps its schema."""
    instance = await instances(Registrar(FirstEvent, SecondEvent))

    for _ in range(2):
        await instance.track_event(FirstEvent(actor=None, first=1))
        await instance.track_event(SecondEvent(actor=None, second=2))

    assert (
        telemetry.events
        == [
            ("app.same_name", {"app.same_name.first": 1}),
            ("app.same_name", {"app.same_name.second": 2, **UNPLANNED}),
        ]
        * 2
    )
    [warning] = warnings.messages
    assert "SecondEvent" in warning
    assert "FirstEvent" in warning


async def test_event_of_an_unregistered_subclass_is_emitted(instances, telemetry) -> None:
    """The event has the name of its registered ancestor, and its own fields."""
    instance = await instances(Registrar(BanUserEvent))
    subclass = make_dataclass("BanForeverEvent", [("reason", str)], bases=(BanUserEvent,))

    await instance.track_event(subclass(user={"id": 1}, reason="spam"))

    assert telemetry.events == [
        ("forum.ban_user", {"forum.ban_user.user.id": 1, "forum.ban_user.reason": "spam", **UNPLANNED}),
    ]


class Odd:
    """A value whose methods all raise."""

    def __repr__(self):
        raise ZeroDivisionError

    __str__ = __eq__ = __len__ = __iter__ = __bool__ = __repr__
    __hash__ = None


def remove_fields(event: Any) -> None:
    vars(event).clear()


def set_odd_fields(event: Any) -> None:
    event.created, event.actor, event.user = "yesterday", Odd(), Odd()


def make_properties_raise(event: Any) -> None:
    event.properties = lambda: 1 / 0


@pytest.mark.parametrize("spoil", [remove_fields, set_odd_fields, make_properties_raise])
@pytest.mark.parametrize("event_class", [BanUserEvent, core.DropTableEvent, NoSchemaEvent])
async def test_spoiled_event_is_emitted(instances, telemetry, event_class, spoil) -> None:
    """An event whose fields or methods were changed after its creation is emitted under its name, and tracking it raises nothing."""
    instance = await instances(Registrar(BanUserEvent, NoSchemaEvent))
    fields = {BanUserEvent: {"user": {}}, core.DropTableEvent: TABLE, NoSchemaEvent: {"what": "?"}}[event_class]
    event = event_class(actor=None, **fields)
    spoil(event)

    await instance.track_event(event)

    [record] = telemetry.logs
    assert record.log_record.event_name.split(".")[1] in {"ban_user", "drop_table", "not_a_name"}


async def test_event_is_emitted_before_another_plugins_hook_fails(instances, telemetry) -> None:
    """Datasette calls no hook after one that raises. The plugin's own hook is called first."""
    instance = await instances(Failing())

    answer = await instance.client.post("/data/-/create", json={"table": "plants", "row": {"id": 1}})

    assert answer.status_code == 500  # Datasette's answer to the other plugin
    assert telemetry.events[0][0] == "datasette.create_table"


async def test_event_is_on_the_span_of_its_request(instances, telemetry) -> None:
    """Datasette's HTTP span has the span event. The log record has the ids of that span and the same attributes, without the name."""
    instance = await instances()

    answer = await instance.client.post("/data/-/create", json={"table": "plants", "columns": [{"name": "id"}]})

    assert answer.status_code == 201
    [record] = telemetry.logs
    [server] = [span for span in telemetry.spans if span.kind.name == "SERVER"]
    [event] = [event for event in server.events if event.name == "datasette.create_table"]
    assert record.log_record.span_id == server.context.span_id
    assert {**record.log_record.attributes, "otel.event.name": "datasette.create_table"} == event.attributes


@pytest.mark.parametrize("block", [True, False])
async def test_event_of_a_write_in_the_background_is_emitted(instances, telemetry, block) -> None:
    """If SQL renames a table outside of a request, Datasette tracks an event without an actor, after the write."""
    instance = await instances()
    database = instance.get_database("data")
    await database.execute_write("create table plants (id integer primary key)")

    await database.execute_write("alter table plants rename to flora", block=block)
    await database.execute_write("select 1")  # writes run one after the other, so the rename has ended
    await asyncio.sleep(0)

    assert (
        "datasette.rename_table",
        {
            "db.namespace": "data",
            "datasette.rename_table.old_table": "plants",
            "datasette.rename_table.new_table": "flora",
        },
    ) in telemetry.events


class ThrowingProvider(LoggerProvider):
    """A provider that cannot return a logger."""

    def get_logger(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("this provider fails")


class ThrowingLogger:
    """A logger that cannot emit."""

    def emit(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("this logger fails")


class ThrowingLoggerProvider(LoggerProvider):
    """A provider of loggers that cannot emit."""

    def get_logger(self, *args: Any, **kwargs: Any) -> Any:
        return ThrowingLogger()


@pytest.mark.parametrize("broken", [ThrowingProvider, ThrowingLoggerProvider])
async def test_provider_that_throws_fails_no_request(instances, telemetry, set_globally, warnings, broken) -> None:
    """If the log provider raises, the write succeeds, the error is logged, and the span event is emitted."""
    set_globally(**{**telemetry.providers, "logger_provider": broken(shutdown_on_exit=False)})
    instance = await instances()

    answer = await instance.client.post("/data/-/create", json={"table": "plants", "columns": [{"name": "id"}]})

    assert answer.status_code == 201
    assert [event.name for event in telemetry.span_events if event.name.startswith("datasette.c")] == [
        "datasette.create_table"
    ]
    assert any("fail" in message for message in warnings.messages)


async def test_without_any_provider_there_is_one_warning_for_each_signal(instances, set_globally, warnings) -> None:
    """Without providers no event is exported. Each signal logs this once."""
    set_globally()
    instance = await instances()

    for _ in range(2):
        await instance.track_event(core.DropTableEvent(actor=None, **TABLE))

    assert ["'log'" in message or "'span_event'" in message for message in warnings.messages] == [True, True]
    assert {record.levelno for record in warnings.records if record.name == SCOPE} == {logging.WARNING}


async def test_two_datasettes_in_a_process_have_their_own_settings(instances, telemetry) -> None:
    """The namespace and the actor filter of the Datasette that tracks an event apply to it."""
    first = await instances(Registrar(FirstEvent), config={"plugins": {"heliograph": {"namespace": "one"}}})
    second = await instances(config={"plugins": {"heliograph": {"namespace": "two", "actor": ""}}})

    for instance in (first, second, first):
        await instance.track_event(FirstEvent(actor={"id": "alice"}, first=1))

    assert telemetry.events == [
        ("one.same_name", {"one.same_name.first": 1, "user.id": "alice"}),
        ("two.same_name", {"two.same_name.first": 1}),
        ("one.same_name", {"one.same_name.first": 1, "user.id": "alice"}),
    ]


async def test_invalid_event_is_put_into_the_quarantine(instances, telemetry, monkeypatch, tmp_path) -> None:
    """The setting `quarantine` has the same effect as in a `Host`. Events of Datasette's core are valid."""
    monkeypatch.setenv("HELIOGRAPH_VALIDATION", "quarantine")
    monkeypatch.setenv("HELIOGRAPH_QUARANTINE", str(tmp_path / "quarantine.db"))
    instance = await instances(Registrar(BanUserEvent))

    await instance.track_event(BanUserEvent(user="cleverbot"))
    await instance.track_event(core.LoginEvent(actor=ALICE))

    assert [name for name, _ in telemetry.events] == ["datasette.login"]
    state = state_of(instance)
    assert state.end_quarantine(60_000)
    [found] = Quarantine(tmp_path / "quarantine.db").find()
    assert found.record.violations == ("datatype-mismatch: user",)


async def test_outbox_is_awaited_by_datasette(instances, telemetry: Telemetry) -> None:
    """`track_event` returns when the record is on the disk, and the event loop goes on until then."""
    store = DeferringStore()
    telemetry.logger_provider.add_log_record_processor(store)
    datasette = await instances()

    tracking = asyncio.ensure_future(datasette.track_event(core.LoginEvent(actor=ALICE)))
    await asyncio.sleep(0)
    assert not tracking.done()
    [record] = store.records
    record.set()
    await tracking
