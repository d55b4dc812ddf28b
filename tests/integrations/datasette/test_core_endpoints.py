"""Every endpoint of Datasette's core that tracks an event is called: no event violates its schema."""

from __future__ import annotations

from typing import Any

import pytest
from datasette.events import register_events

from heliograph.integrations.datasette.instance_state import state_of
from schema.export.weaver_live_check import LiveCheck

pytestmark = pytest.mark.anyio

ROW = {"id": 1, "name": "fern"}
COLUMNS = [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]

WRITES: list[tuple[str, dict[str, Any]]] = [
    # a new table: without rows, with one, with several, and with each option
    ("/data/-/create", {"table": "empty", "columns": COLUMNS, "pk": "id"}),
    ("/data/-/create", {"table": "no_pk", "columns": COLUMNS}),
    ("/data/-/create", {"table": "compound", "columns": COLUMNS, "pks": ["id", "name"]}),
    ("/data/-/create", {"table": "one", "row": ROW, "pk": "id"}),
    ("/data/-/create", {"table": "rowid", "rows": [ROW, {"id": 2, "name": None}]}),
    ("/data/-/create", {"table": "plants", "rows": [ROW], "pk": "id"}),
    ("/data/-/create", {"table": "odd name. ü", "rows": [{"a b.c": 1.5}]}),
    ("/data/-/create", {"table": "ignoring", "rows": [ROW], "pk": "id", "ignore": True}),
    ("/data/-/create", {"table": "replacing", "rows": [ROW], "pk": "id", "replace": True}),
    # an existing table
    ("/data/-/create", {"table": "plants", "rows": [{"id": 2, "name": "moss"}], "pk": "id"}),
    ("/data/-/create", {"table": "plants", "rows": [ROW], "pk": "id", "ignore": True}),
    ("/data/-/create", {"table": "plants", "rows": [ROW], "pk": "id", "replace": True}),
    ("/data/-/create", {"table": "plants", "row": {"id": 3, "height": 2}, "pk": "id", "alter": True}),
    # rows
    ("/data/plants/-/insert", {"row": {"id": 10, "name": "oak"}}),
    ("/data/plants/-/insert", {"rows": [{"id": 11}, {"id": 12, "name": None}], "return": True}),
    ("/data/plants/-/insert", {"rows": [ROW], "ignore": True}),
    ("/data/plants/-/insert", {"rows": [ROW], "replace": True}),
    ("/data/plants/-/insert", {"rows": [{"id": 13, "color": "red"}], "alter": True}),
    ("/data/no_pk/-/insert", {"row": ROW}),
    ("/data/compound/-/insert", {"rows": [ROW, {"id": 2, "name": "moss"}]}),
    ("/data/plants/-/upsert", {"rows": [{"id": 1, "name": "fir"}, {"id": 14, "name": "yew"}]}),
    ("/data/plants/-/upsert", {"rows": [{"id": 1, "size": 3}], "alter": True}),
    ("/data/plants/1/-/update", {"update": {"name": "elm"}}),
    ("/data/plants/1/-/update", {"update": {"age": 9}, "alter": True, "return": True}),
    ("/data/compound/1,fern/-/update", {"update": {"name": "ash"}}),
    ("/data/no_pk/1/-/update", {"update": {"name": "ash"}}),
    ("/data/plants/14/-/delete", {}),
    ("/data/compound/2,moss/-/delete", {}),
    ("/data/no_pk/1/-/delete", {}),
    # tables
    ("/data/plants/-/alter", {"operations": [{"op": "add_column", "args": {"name": "note", "type": "text"}}]}),
    ("/data/plants/-/alter", {"operations": [{"op": "rename_column", "args": {"name": "note", "to": "remark"}}]}),
    ("/data/plants/-/alter", {"operations": [{"op": "rename_table", "args": {"to": "flora"}}]}),
    ("/data/flora/-/drop", {"confirm": True}),
    ("/data/one/-/drop", {"confirm": True}),
]


@pytest.mark.parametrize("validation", ["warn", "quarantine"])
async def test_no_endpoint_of_the_core_causes_a_violation(
    instances, telemetry, tmp_path, monkeypatch, validation
) -> None:
    """Every event of the core is seen, none is put into the quarantine, and all keep the rules of Weaver's live check."""
    monkeypatch.setenv("HELIOGRAPH_QUARANTINE", str(tmp_path / "quarantine.db"))
    monkeypatch.setenv("HELIOGRAPH_OPT_IN", "*")
    instance = await instances(config={"plugins": {"heliograph": {"validation": validation}}})
    instance.root_enabled = True
    cookies = {"ds_actor": instance.client.actor_cookie({"id": "root"})}
    token = {"authorization": f"Bearer {await instance.create_token('root')}"}

    answers = [(path, await instance.client.post(path, json=body, headers=token)) for path, body in WRITES]
    instance._root_token = "once"
    answers += [
        ("login", await instance.client.get("/-/auth-token?token=once")),
        ("logout", await instance.client.post("/-/logout", cookies=cookies)),
        *[
            ("token", await instance.client.post("/-/create-token", cookies=cookies, data=data))
            for data in (
                {"expire_type": ""},
                {"expire_type": "hours", "expire_duration": "2"},
                {"all:view-table": "1", "database:data:insert-row": "1", "resource:data:odd~20name:drop-table": "1"},
            )
        ],
        (
            "write",
            await instance.client.post(
                "/data/-/execute-write", cookies=cookies, data={"sql": "alter table replacing rename to replaced"}
            ),
        ),
    ]

    failed = [(path, answer.status_code, answer.text) for path, answer in answers if answer.status_code >= 400]
    assert failed == []
    assert [attributes for _, attributes in telemetry.events if "heliograph.event.violations" in attributes] == []
    assert not (tmp_path / "quarantine.db").exists()
    names = [name for name, _ in telemetry.events]
    core = {f"datasette.{each.name}".replace("-", "_") for each in register_events()}
    assert set(names) == {*core, "heliograph.token_created"}
    assert names.count("heliograph.token_created") == 1, "the core tracks the creation of those of its page itself"
    assert len(names) >= len(WRITES)
    schemas = state_of(instance).schemas
    check = LiveCheck([*schemas.values(), *schemas.own])
    found = [check.violations(name, {**attributes, "log.record.uid": "1"}) for name, attributes in telemetry.events]
    assert [each for each in found if each] == []
