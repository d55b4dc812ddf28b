"""`heliograph quarantine` lists the events that were set aside, and replays them after their class was fixed."""

from __future__ import annotations

import datetime as dt
import json
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import forked
from cli.lunch import LUNCH
from heliograph.cli.main import cli
from heliograph.quarantine.store import Quarantine
from otlp_receiver import Receiver
from processes import clean_environment
from quarantine.test_store import RECORD

ORDER = replace(
    RECORD,
    event_name="shop.order",
    version=None,
    properties={"number": "one", "card": "<masked>"},
    violations=("datatype-mismatch: number",),
)


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "aside.db")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["quarantine", *map(str, arguments)])


def replay(folder: Path, endpoint: str, source: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run the command in a process of its own, because it sets global providers. `source` is the module `shop`."""
    (folder / "shop.py").write_text("from __future__ import annotations\n" + textwrap.dedent(source))
    command = [sys.executable, "-m", "heliograph", "quarantine", "replay", "--file", "aside.db", *arguments]
    ended = forked.run(
        command,
        cwd=folder,
        env=clean_environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="3000",
            NO_PROXY="127.0.0.1",
            **variables,
        ),
    )
    return ended.returncode, ended.stdout + ended.stderr


FIXED = """
    from dataclasses import dataclass
    from typing import Annotated
    from heliograph import Attribute, Event, Privacy

    @dataclass
    class OrderEvent(Event, namespace="shop"):
        name = "order"
        number: int | str
        card: Annotated[int, Attribute(privacy=Privacy.MASK)]
"""

UPCAST = """
    from dataclasses import dataclass
    from heliograph import Event

    @dataclass
    class OrderEvent(Event, namespace="shop", version="2"):
        name = "order"
        key: str

    @OrderEvent.upcast(from_version="1")
    def from_number(properties):
        return {"key": properties.pop("number")}
"""


def test_list_has_one_line_for_each(quarantine: Quarantine) -> None:
    """A line has number, time, event name and violations. The last line has the sums."""
    quarantine.put(ORDER)
    quarantine.put(replace(RECORD, uid="2"))
    ran = run("list", "--file", quarantine.path)

    assert ran.exit_code == 0
    assert "1  2026-01-02T03:04:05.000+00:00  shop.order  datatype-mismatch: number" in ran.output
    assert "2  2026-01-02T03:04:05.000+00:00  app.order@1  datatype-mismatch: number" in ran.output
    assert "2 events: 1 app.order, 1 shop.order" in ran.output


def test_list_by_condition_and_as_json(quarantine: Quarantine) -> None:
    """`--event` and `--kind` select events, `--json` prints one object per line."""
    quarantine.put(ORDER)
    quarantine.put(replace(RECORD, uid="2"))

    lines = run("list", "--file", quarantine.path, "--event", "shop.order", "--json").output.splitlines()
    assert [json.loads(line)["event_name"] for line in lines] == ["shop.order"]
    assert "0 events" in run("list", "--file", quarantine.path, "--kind", "unplanned-event").output


def test_show_prints_everything_about_an_event(quarantine: Quarantine) -> None:
    """A number that does not exist is an error."""
    quarantine.put(ORDER)
    shown = json.loads(run("show", 1, "--file", quarantine.path).output)

    assert shown["properties"] == {"number": "one", "card": "<masked>"}
    assert shown["actor"] == {"user.id": "root"}
    assert shown["uid"] == ORDER.uid
    assert run("show", 2, "--file", quarantine.path).exit_code == 1


def test_show_as_json_is_one_line(quarantine: Quarantine) -> None:
    """The line has every key, with the ids in hexadecimal as OpenTelemetry writes them."""
    quarantine.put(ORDER)

    [line] = run("show", 1, "--json", "--file", quarantine.path).output.splitlines()
    [listed] = run("list", "--json", "--file", quarantine.path).output.splitlines()

    shown = json.loads(line)
    assert json.loads(listed) == shown
    assert dt.datetime.fromisoformat(shown.pop("set_aside")) > dt.datetime.fromisoformat(shown["happened"])
    assert shown == {
        "id": 1,
        "event_name": "shop.order",
        "version": None,
        "event_class": ORDER.event_class,
        "uid": ORDER.uid,
        "happened": "2026-01-02T03:04:05.000+00:00",
        "violations": ["datatype-mismatch: number"],
        "actor": {"user.id": "root"},
        "properties": {"number": "one", "card": "<masked>"},
        "trace_id": f"{7:032x}",
        "span_id": f"{8:016x}",
    }


def test_sums_are_not_part_of_the_output(quarantine: Quarantine) -> None:
    """Sums are on standard error, and absent with `--json`."""
    quarantine.put(ORDER)

    assert run("list", "--file", quarantine.path).stderr == "1 event: 1 shop.order\n"
    assert run("list", "--file", quarantine.path, "--event", "shop.other").stderr == "0 events\n"
    assert run("list", "--file", quarantine.path, "--json").stderr == ""


def test_control_characters_are_escaped(quarantine: Quarantine) -> None:
    """Values of events cannot change the terminal."""
    quarantine.put(
        replace(ORDER, event_name="a\x07\x1b[31m", violations=("b\x07",), properties={"x\x1b": "\x1b]0;\x07"})
    )
    output = run("list", "--file", quarantine.path).output + run("show", 1, "--file", quarantine.path).output

    assert "\x1b" not in output
    assert "\x07" not in output


def test_file_of_the_setting_is_the_default(quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--file`, the commands use the same file as programs."""
    quarantine.put(ORDER)
    monkeypatch.setenv("HELIOGRAPH_QUARANTINE", str(quarantine.path))

    assert "shop.order" in run("list").output


@pytest.mark.parametrize("command", [["list"], ["show", "1"], ["purge", "--all", "--yes"]])
def test_missing_file_is_a_usage_error(tmp_path: Path, command: list[str]) -> None:
    """The exit status is 2, and the message names the file."""
    ran = run(*command, "--file", tmp_path / "nothing.db")

    assert ran.exit_code == 2
    assert "nothing.db" in ran.output


def test_purge_asks_before_it_deletes(quarantine: Quarantine) -> None:
    """A purge needs a condition and a confirmation, and prints the number of deleted events."""
    quarantine.put(ORDER)
    assert run("purge", "--file", quarantine.path).exit_code == 2
    assert run("purge", "--file", quarantine.path, "--all").exit_code == 1  # no confirmation
    assert "0 deleted" in run("purge", "--file", quarantine.path, "--before", "2025-01-01", "--yes").output

    assert "1 deleted" in run("purge", "--file", quarantine.path, "--before", "2027-01-01", "--yes").output
    assert list(quarantine.find()) == []


def test_purge_deletes_the_events_of_one_name(quarantine: Quarantine) -> None:
    """Other events stay. A purge asks for no confirmation if there is nothing to delete."""
    quarantine.put(ORDER)
    quarantine.put(replace(RECORD, uid="2"))

    assert run("purge", "--file", quarantine.path, "--event", "shop.other").output == "0 deleted.\n"
    assert "Delete 1 event for good?" in run("purge", "--file", quarantine.path, "--event", "shop.order").output
    assert run("purge", "--file", quarantine.path, "--event", "shop.order", "--yes").output == "1 deleted.\n"
    assert [each.record.event_name for each in quarantine.find()] == [RECORD.event_name]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="this system cannot change the time zone of a process")
def test_time_of_purge_is_utc(quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time zone of the machine, here 14 hours ahead, does not matter."""
    quarantine.put(ORDER)  # at 03:04:05
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        ran = run("purge", "--file", quarantine.path, "--before", "2026-01-02T03:30:00", "--yes")
    finally:
        monkeypatch.undo()
        time.tzset()

    assert "1 deleted" in ran.output


def test_replay_emits_with_the_first_time_id_actor_and_span(quarantine: Quarantine, tmp_path: Path) -> None:
    """A masked value stays masked, and does not make the event invalid."""
    quarantine.put(ORDER)
    with Receiver() as receiver:
        status, output = replay(tmp_path, receiver.endpoint, FIXED, "shop:OrderEvent")
        [log] = receiver.logs()

    assert (status, "1 replayed, 0 still in the quarantine." in output) == (0, True), output
    assert log.event_name == "shop.order"
    assert log.time_unix_nano == ORDER.time_unix_nano
    assert log.attributes == {
        "log.record.uid": ORDER.uid,
        "user.id": "root",
        "shop.order.number": "one",
        "shop.order.card": "<masked>",
    }
    assert (int(log.trace_id, 16), int(log.span_id, 16)) == (7, 8)
    assert list(quarantine.find()) == []


def test_replay_of_some_events(quarantine: Quarantine, tmp_path: Path) -> None:
    """Events that `--id` names are replayed. The others stay in the quarantine, and are no failure."""
    for uid in ("1", "2", "3"):
        quarantine.put(replace(ORDER, uid=uid))
    with Receiver() as receiver:
        status, output = replay(tmp_path, receiver.endpoint, FIXED, "shop:OrderEvent", "--id", "1", "--id", "3")

        assert sorted(log.attributes["log.record.uid"] for log in receiver.logs()) == ["1", "3"]
    assert (status, "2 replayed, 0 still in the quarantine." in output) == (0, True), output
    assert [each.id for each in quarantine.find()] == [2]


@pytest.mark.parametrize("database", [{}, {"HELIOGRAPH_TOKEN_DATABASE": "tokens.db"}])
def test_replay_needs_no_tokens(quarantine: Quarantine, tmp_path: Path, database: dict[str, str]) -> None:
    """The tokens may be in the internal database of a Datasette. No file is created for them."""
    quarantine.put(ORDER)
    with Receiver() as receiver:
        status, output = replay(
            tmp_path, receiver.endpoint, FIXED, "shop:OrderEvent", HELIOGRAPH_TOKEN_HANDLERS="database", **database
        )

    assert status == 0, output
    assert list(tmp_path.glob("tokens.db*")) == []


def test_replay_of_an_event_of_a_datasette(quarantine: Quarantine, tmp_path: Path) -> None:
    """The class comes from `--plugins-dir`. Its namespace, and the quarantine, are in the configuration."""
    lunch = replace(RECORD, event_name="canteen.lunch", version=None, properties={"meal": "soup"})
    quarantine.put(lunch)
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "lunch.py").write_text(LUNCH)
    settings = {"namespace": "canteen", "quarantine": quarantine.path.name}
    (tmp_path / "datasette.json").write_text(json.dumps({"plugins": {"heliograph": settings}}))
    command = [sys.executable, "-m", "heliograph", "quarantine", "replay", "--plugins-dir", "extra"]

    with Receiver() as receiver:
        ended = forked.run(
            [*command, "--config", "datasette.json", "datasette"],
            cwd=tmp_path,
            env=clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, NO_PROXY="127.0.0.1"),
        )

        events = [log.event_name for log in receiver.logs()]

    assert ended.returncode == 0, ended.stderr
    assert events == ["canteen.lunch"]
    assert list(quarantine.find()) == []


def test_replay_through_an_upcaster(quarantine: Quarantine, tmp_path: Path) -> None:
    """The event of an older version is exported as the current version."""
    quarantine.put(replace(ORDER, version="1", properties={"number": "one"}))
    with Receiver() as receiver:
        status, output = replay(tmp_path, receiver.endpoint, UPCAST, "shop:OrderEvent")
        [log] = receiver.logs()

    assert status == 0, output
    assert log.attributes["shop.order.key"] == "one"
    assert log.attributes["heliograph.event.version"] == "2"


@pytest.mark.parametrize(
    ("version", "source", "reason"),
    [
        (None, FIXED.replace("int | str", "int"), "datatype-mismatch: number"),
        ("3", UPCAST, "the event has version '3', but the sources have '2'"),
        ("1", UPCAST.replace('"number"', '"c4n4ry"'), "the upcaster from version '1' failed: builtins.KeyError"),
        ("1", UPCAST.replace('"order"', '"other"'), "no source has an event class with the event name 'shop.order'"),
    ],
)
def test_event_that_cannot_be_replayed_remains(
    quarantine: Quarantine, tmp_path: Path, version: str | None, source: str, reason: str
) -> None:
    """The reason is printed, and the exit status is 1."""
    quarantine.put(replace(ORDER, version=version))
    with Receiver() as receiver:
        status, output = replay(tmp_path, receiver.endpoint, source, "shop:OrderEvent")

        assert receiver.logs() == []
    assert (status, len(list(quarantine.find()))) == (1, 1)
    assert reason in output
    assert "0 replayed, 1 still in the quarantine." in output


def test_event_that_was_not_delivered_remains(quarantine: Quarantine, tmp_path: Path) -> None:
    """An event is removed from the quarantine only after the exporter has delivered it."""
    quarantine.put(ORDER)
    status, output = replay(tmp_path, "http://127.0.0.1:9", FIXED, "shop:OrderEvent")

    assert status == 1
    assert "Not delivered" in output
    assert len(list(quarantine.find())) == 1


def test_unknown_source_is_a_usage_error(quarantine: Quarantine) -> None:
    """The exit status is 2, and the message names the source."""
    quarantine.put(ORDER)
    ran = run("replay", "--file", quarantine.path, "no.such.module:Class")

    assert ran.exit_code == 2
    assert "no.such.module:Class" in ran.output
