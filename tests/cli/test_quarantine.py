"""`heliograph quarantine` shows what was set aside, and replays it once the class was mended."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heliograph.cli.main import cli
from heliograph.quarantine.store import Quarantine
from otlp_receiver import Receiver
from processes import clean_environment
from processes import run as run_process
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


def replay(folder: Path, endpoint: str, source: str, *arguments: str) -> tuple[int, str]:
    """The command as a process of its own, in a folder with a module `shop`: it sets providers of its own up."""
    (folder / "shop.py").write_text("from __future__ import annotations\n" + textwrap.dedent(source))
    command = [sys.executable, "-m", "heliograph", "quarantine", "replay", "--file", "aside.db", *arguments]
    ended = run_process(
        command,
        cwd=folder,
        env=clean_environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="3000", NO_PROXY="127.0.0.1"
        ),
    )
    return ended.returncode, ended.stdout + ended.stderr


MENDED = """
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
    """Number, time, event and reasons; a sum at the end."""
    quarantine.put(ORDER)
    quarantine.put(replace(RECORD, uid="2"))
    ran = run("list", "--file", quarantine.path)

    assert ran.exit_code == 0
    assert "1  2026-01-02T03:04:05.000+00:00  shop.order  datatype-mismatch: number" in ran.output
    assert "2  2026-01-02T03:04:05.000+00:00  app.order@1  datatype-mismatch: number" in ran.output
    assert "2 events: 1 app.order, 1 shop.order" in ran.output


def test_list_by_condition_and_as_json(quarantine: Quarantine) -> None:
    """For people and for programs."""
    quarantine.put(ORDER)
    quarantine.put(replace(RECORD, uid="2"))

    lines = run("list", "--file", quarantine.path, "--event", "shop.order", "--json").output.splitlines()
    assert [json.loads(line)["event_name"] for line in lines] == ["shop.order"]
    assert "0 events" in run("list", "--file", quarantine.path, "--kind", "unplanned-event").output


def test_show_has_all_of_it(quarantine: Quarantine) -> None:
    """Properties, actor, reasons, ids."""
    quarantine.put(ORDER)
    shown = json.loads(run("show", 1, "--file", quarantine.path).output)

    assert shown["properties"] == {"number": "one", "card": "<masked>"}
    assert shown["actor"] == {"user.id": "root"}
    assert shown["uid"] == ORDER.uid
    assert run("show", 2, "--file", quarantine.path).exit_code == 1


def test_terminal_is_safe_from_what_events_carry(quarantine: Quarantine) -> None:
    """Control characters never come out as they are."""
    quarantine.put(replace(ORDER, event_name="a\x1b[31m", properties={"x\x1b": "\x1b]0;\x07"}))
    output = run("list", "--file", quarantine.path).output + run("show", 1, "--file", quarantine.path).output

    assert "\x1b" not in output
    assert "\x07" not in output


def test_file_of_the_setting_is_the_default(quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As programs find it."""
    quarantine.put(ORDER)
    monkeypatch.setenv("HELIOGRAPH_QUARANTINE", str(quarantine.path))

    assert "shop.order" in run("list").output


@pytest.mark.parametrize("command", [["list"], ["show", "1"], ["purge", "--all", "--yes"]])
def test_file_that_is_none_is_a_wrong_call(tmp_path: Path, command: list[str]) -> None:
    """Exit status 2, and the file is named."""
    ran = run(*command, "--file", tmp_path / "nothing.db")

    assert ran.exit_code == 2
    assert "nothing.db" in ran.output


def test_purge_asks(quarantine: Quarantine) -> None:
    """And says how many."""
    quarantine.put(ORDER)
    assert run("purge", "--file", quarantine.path).exit_code == 2
    assert run("purge", "--file", quarantine.path, "--all").exit_code == 1  # nobody answered
    assert "0 thrown away" in run("purge", "--file", quarantine.path, "--before", "2025-01-01", "--yes").output

    assert "1 thrown away" in run("purge", "--file", quarantine.path, "--before", "2027-01-01", "--yes").output
    assert list(quarantine.find()) == []


def test_replay_emits_with_the_first_time_id_actor_and_span(quarantine: Quarantine, tmp_path: Path) -> None:
    """What was masked stays as it was, and is not held against the event."""
    quarantine.put(ORDER)
    with Receiver() as receiver:
        status, said = replay(tmp_path, receiver.endpoint, MENDED, "shop:OrderEvent")
        [log] = receiver.logs()

    assert (status, "1 replayed, 0 stay." in said) == (0, True), said
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


def test_replay_through_an_upcaster(quarantine: Quarantine, tmp_path: Path) -> None:
    """What an older version made becomes what the class is now."""
    quarantine.put(replace(ORDER, version="1", properties={"number": "one"}))
    with Receiver() as receiver:
        status, said = replay(tmp_path, receiver.endpoint, UPCAST, "shop:OrderEvent")
        [log] = receiver.logs()

    assert status == 0, said
    assert log.attributes["shop.order.key"] == "one"
    assert log.attributes["heliograph.event.version"] == "2"


@pytest.mark.parametrize(
    ("version", "source", "reason"),
    [
        (None, MENDED.replace("int | str", "int"), "datatype-mismatch: number"),
        ("3", UPCAST, "it is of version '3', and the sources have '2'"),
        ("1", UPCAST.replace('"number"', '"c4n4ry"'), "the upcaster from version '1' failed: builtins.KeyError"),
        ("1", UPCAST.replace('"order"', '"other"'), "no class for the event 'shop.order'"),
    ],
)
def test_event_that_cannot_be_replayed_stays(
    quarantine: Quarantine, tmp_path: Path, version: str | None, source: str, reason: str
) -> None:
    """With the reason, and exit status 1."""
    quarantine.put(replace(ORDER, version=version))
    with Receiver() as receiver:
        status, said = replay(tmp_path, receiver.endpoint, source, "shop:OrderEvent")

        assert receiver.logs() == []
    assert (status, len(list(quarantine.find()))) == (1, 1)
    assert reason in said
    assert "0 replayed, 1 stay." in said


def test_event_that_was_not_delivered_stays(quarantine: Quarantine, tmp_path: Path) -> None:
    """It leaves when the exporter has delivered it, not before."""
    quarantine.put(ORDER)
    status, said = replay(tmp_path, "http://127.0.0.1:9", MENDED, "shop:OrderEvent")

    assert status == 1
    assert "Not delivered" in said
    assert len(list(quarantine.find())) == 1


def test_source_that_is_none_is_a_wrong_call(quarantine: Quarantine) -> None:
    """Exit status 2, and the source is named."""
    quarantine.put(ORDER)
    ran = run("replay", "--file", quarantine.path, "no.such.module:Class")

    assert ran.exit_code == 2
    assert "no.such.module:Class" in ran.output
