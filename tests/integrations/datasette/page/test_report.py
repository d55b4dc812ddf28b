"""The report of a process: failures, outbox, quarantine and events, without messages and values."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import opentelemetry.trace
import pytest
from opentelemetry.sdk.trace import TracerProvider

from delivery.outboxes import encoded_record, make_orphan
from heliograph import Event, Settings
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.integrations.datasette.page.recent import EventFilter
from heliograph.integrations.datasette.page.report import MAX_DEAD_LETTERS, MAX_FOLDERS, report
from heliograph.quarantine.store import Quarantine
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.registry import SchemaRegistry
from quarantine.test_store import RECORD


@dataclass
class BanUser(Event, namespace="demo"):
    """A moderator bans a user."""

    name = "ban-user"
    user: str


def report_of(directory: Path, **settings: Any) -> dict[str, Any]:
    registry = SchemaRegistry.from_settings(Settings(), lambda reader: None)
    registry.register(BanUser)
    values = {"quarantine": directory / "quarantine.db", **settings}
    return json.loads(json.dumps(report(replace(Settings(), **values), registry.values(), None, EventFilter())))


def test_process_and_events_are_named(tmp_path: Path) -> None:
    found = report_of(tmp_path)

    assert found["process"]["pid"] == os.getpid()
    [event] = found["events"]
    assert (event["label"], event["brief"]) == ("demo.ban_user", "A moderator bans a user.")
    assert [row["attribute"] for row in event["rows"]] == ["demo.ban_user.user"]


def test_each_signal_has_an_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner is empty if no provider is set."""
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)

    signals = {each["signal"]: each for each in report_of(tmp_path)["signals"]}
    assert signals["traces"]["owner"].startswith(("datasette-otel-", "opentelemetry."))
    assert signals["logs"] == {"signal": "logs", "owner": "", "destinations": []}


def test_failures_have_no_values(tmp_path: Path) -> None:
    SafeLogger("heliograph.tests").error("It failed: %s", "secret")

    newest = report_of(tmp_path)["failures"][0]
    assert newest["text"] == "It failed: …"
    assert (newest["level"], newest["error"]) == ("error", "")


def test_outbox_has_numbers_and_its_newest_dead_letters(tmp_path: Path) -> None:
    """The messages of servers are not among them: they may quote the data."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=10**9)
    for number in range(MAX_FOLDERS + 1):
        make_orphan(box.directory, *["record"] * (1 + number))
    for number in range(MAX_DEAD_LETTERS + 1):
        entry = Entry(0, Scope(scope=b""), encoded_record(f"letter {number}"))
        box.dead_letters.put(Header(resource=b""), entry, reason="bad_data", message="secret")

    found = report_of(tmp_path, outbox=box.directory)["outbox"]
    waiting = [folder["waiting"] for folder in found["folders"]]
    assert waiting == list(range(MAX_FOLDERS + 1, 1, -1))
    assert found["waiting"] == sum(range(MAX_FOLDERS + 2))
    assert found["dead_letters"] == MAX_DEAD_LETTERS + 1
    assert [letter["uid"] for letter in found["letters"]] == [f"letter {n}" for n in range(MAX_DEAD_LETTERS, 0, -1)]
    assert "secret" not in json.dumps(found)
    assert found["bytes"] > 0


def test_outbox_may_be_missing(tmp_path: Path) -> None:
    assert report_of(tmp_path)["outbox"] is None
    directory = tmp_path / "box"
    assert report_of(tmp_path, outbox=directory)["outbox"] == {"directory": str(directory), "is_there": False}
    assert not directory.exists()


def test_outbox_that_cannot_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    directory = tmp_path / "box"
    directory.mkdir()

    assert report_of(tmp_path, outbox=directory)["outbox"]["problem"] == "OutboxError"


def test_quarantine_has_the_number_of_each_event(tmp_path: Path) -> None:
    """A missing file has none, and is not created."""
    path = tmp_path / "quarantine.db"
    assert report_of(tmp_path)["quarantine"] == {"file": str(path), "events": {}}
    assert not path.exists()

    for number, name in enumerate(("b", "a", "b")):
        Quarantine(path).put(replace(RECORD, uid=str(number), event_name=name))
    assert report_of(tmp_path)["quarantine"]["events"] == {"a": 1, "b": 2}


def test_quarantine_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "quarantine.db").write_bytes(b"garbage" * 1000)

    assert report_of(tmp_path)["quarantine"]["problem"] == "QuarantineError"
