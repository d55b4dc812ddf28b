"""`heliograph outbox` shows what waits, sends it, and sees to what is dead."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import urllib.request
from pathlib import Path
from zlib import crc32

import pytest
from click.testing import CliRunner, Result

from backends import Collector, wait_until
from delivery.outboxes import drain, folders_in, logging_to, make_damaged_orphan
from delivery.servers import OK, serving
from heliograph.cli.main import cli
from heliograph.delivery.journal.segment import segments
from processes import clean_environment


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["outbox", *map(str, arguments)])


@pytest.fixture
def orphan(tmp_path: Path) -> Path:
    """An outbox in which a process left three records."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path / "box", down.endpoint) as emit:
        for number in range(3):
            emit(f"r{number}")
    return tmp_path / "box"


def test_status_tells_what_waits(orphan: Path) -> None:
    """For people, and for programs."""
    result = run("status", "--directory", orphan)
    (folder,) = folders_in(orphan)

    assert result.output.startswith(f"{folder.name}  left behind  3 records wait, the oldest for ")
    assert "3 records wait; 0 dead letters; 0 files with damage;" in result.output
    found = json.loads(run("status", "--directory", orphan, "--json").output)
    assert (found["waiting"], found["folders"][0]["held"]) == (3, False)


def test_drain_sends_what_processes_left(orphan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves nothing behind; where the server takes nothing, all stays."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", down.endpoint)
        refused = run("drain", "--directory", orphan)
    assert refused.exit_code == 1
    assert "Not all was delivered: it stays." in refused.output

    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        result = run("drain", "--directory", orphan)

    assert result.exit_code == 0
    assert "3 delivered, 0 rejected, 0 dead, 0 damaged, 0 retried." in result.output
    assert server.accepted == ["r0", "r1", "r2"]
    assert folders_in(orphan) == []


def test_dead_letters_are_listed_shown_and_put_back(orphan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the server was mended, they arrive."""
    poisoned = [True]

    def answer(number: int, records: list[str]) -> tuple[int, dict[str, str], bytes]:
        return (400, {"Content-Type": "text/plain"}, b"bad r1") if poisoned[0] and "r1" in records else OK

    with serving(answer) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        assert "2 delivered, 0 rejected, 1 dead," in run("drain", "--directory", orphan).output
        listed = json.loads(run("dead", "list", "--directory", orphan, "--json").output)
        assert (listed["uid"], listed["reason"]) == ("r1", "bad_data")
        assert "bad r1" in run("dead", "list", "--directory", orphan).output
        assert '"uid": "r1"' in run("dead", "show", listed["id"], "--directory", orphan).output
        poisoned[0] = False
        assert run("dead", "requeue", listed["id"], "--directory", orphan).exit_code == 0
        assert run("drain", "--directory", orphan).exit_code == 0

    assert server.accepted == ["r0", "r2", "r1"]
    assert run("dead", "list", "--directory", orphan).output == ""


def test_all_dead_letters_are_put_back_at_once(orphan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the resource that they were made under."""
    with serving(lambda number, records: (400, {}, b"")) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        assert run("drain", "--directory", orphan).exit_code == 0
    assert "3 put back" in run("dead", "requeue", "--all", "--directory", orphan).output

    with serving() as server:
        assert drain(orphan, server.endpoint).exit_code == 0
    assert sorted(server.accepted) == ["r0", "r1", "r2"]
    assert set(server.resources) == {"tests"}
    assert run("dead", "list", "--directory", orphan).output == ""


def test_verify_finds_damage_and_changes_nothing(orphan: Path) -> None:
    """In the journal, and in the dead letters."""
    before = contents(orphan)
    sound = run("verify", "--directory", orphan)
    assert (sound.exit_code, contents(orphan)) == (0, before)
    assert "3 records can be read, 0 cannot (0 bytes)" in sound.stdout

    damaged = make_damaged_orphan(orphan)
    before = contents(orphan)
    found = run("verify", "--directory", orphan, "--json")
    assert (found.exit_code, contents(orphan)) == (1, before)
    [of_damaged] = [each for each in json.loads(found.stdout)["folders"] if each["folder"] == damaged.name]
    assert (of_damaged["waiting"], of_damaged["damaged"]) == (2, 1)
    assert of_damaged["damaged_bytes"] > 10


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_export_writes_what_a_collector_reads(orphan: Path, tmp_path: Path) -> None:
    """What waits, and what is dead, as lines of OTLP's JSON; it stays where it is."""
    output = tmp_path / "out.jsonl"
    assert run("export", "--directory", orphan, "--output", output).exit_code == 0
    [line] = map(json.loads, output.read_text().splitlines())
    records = line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [record["body"]["stringValue"] for record in records] == ["r0", "r1", "r2"]
    assert line["resourceLogs"][0]["resource"]["attributes"][0]["value"] == {"stringValue": "tests"}
    assert run("export", "--directory", orphan, "--dead").stdout == ""

    with serving(lambda number, records: (400, {}, b"")) as server:
        drain(orphan, server.endpoint)
    dead = run("export", "--directory", orphan, "--dead").stdout.splitlines()
    assert len(dead) == 3
    assert json.loads(dead[0])["resourceLogs"][0]["scopeLogs"][0]["scope"]["name"] == "tests"


def test_collector_reads_an_export(orphan: Path, tmp_path: Path, collector: Collector) -> None:
    """A real one: what was exported is sent to it as OTLP/JSON, and arrives."""
    exported = run("export", "--directory", orphan).stdout
    headers = {"Content-Type": "application/json"}
    for line in exported.splitlines():
        request = urllib.request.Request(f"{collector.otlp_http_endpoint}/v1/logs", line.encode(), headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            assert response.status == 200

    wait_until(lambda: {"r0", "r1", "r2"} <= {str(log.attributes.get("log.record.uid")) for log in collector.logs()})


def test_folders_of_living_processes_are_looked_at_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`status`, `verify` and `export` see what waits in them; `drain` sends nothing of theirs."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint) as emit:
        emit("mine")
        [of_it] = json.loads(run("status", "--directory", tmp_path, "--json").stdout)["folders"]
        assert (of_it["held"], of_it["waiting"]) == (True, 1)
        assert run("verify", "--directory", tmp_path).exit_code == 0
        assert "mine" in run("export", "--directory", tmp_path).stdout
        with serving() as server:
            assert json.loads(drain(tmp_path, server.endpoint, "--json").stdout)["delivered"] == 0


def test_drain_follows_until_it_is_stopped(tmp_path: Path) -> None:
    """Beside programs that leave something: a real process, ended by SIGTERM, which is a good end."""
    box = tmp_path / "box"
    box.mkdir()
    with serving() as server:
        environment = clean_environment(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=server.endpoint, NO_PROXY="127.0.0.1")
        command = [sys.executable, "-m", "heliograph", "outbox", "drain", "--follow", "--json", "--directory", str(box)]
        follower = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            for number in range(3):
                with serving(lambda number, records: (503, {}, b"")) as down, logging_to(box, down.endpoint) as emit:
                    emit(f"r{number}")
                wait_until(lambda: not folders_in(box))
        finally:
            follower.terminate()
            output, _ = follower.communicate(timeout=20)
    assert follower.returncode == 0
    assert json.loads(output)["delivered"] == 3
    assert server.accepted == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["status"], 2, "say which outbox"),
        (["status", "--directory", "nowhere"], 2, "does not exist"),
        (["dead", "show", "7", "--directory", "."], 1, "there is no dead letter 7"),
        (["dead", "requeue", "7", "--directory", "."], 1, "there is no dead letter 7"),
        (["dead", "requeue", "--directory", "."], 2, "their numbers, or --all"),
        (["dead", "requeue", "1", "--all", "--directory", "."], 2, "their numbers, or --all"),
        (["export", "--directory", ".", "--output", "no/such/folder/file"], 2, "No such file"),
    ],
)
def test_wrong_call_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, said: str
) -> None:
    """With exit status 2 for a wrong call, 1 for what is not there."""
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert result.exit_code == status
    assert said in result.output


def test_what_a_later_version_left_is_left_to_it(orphan: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is sent of it, nothing is deleted, and it is told."""
    [folder] = folders_in(orphan)
    [(_, path)] = segments(folder)
    head = b"HELIOJNL" + struct.pack("<HI", 2, 0)
    later = head + struct.pack("<I", crc32(head)) + b"whatever it has"
    path.write_bytes(later)

    with serving() as server:
        drained = drain(orphan, server.endpoint)
    verified = run("verify", "--directory", orphan)

    assert (drained.exit_code, server.requests) == (1, [])
    assert path.read_bytes() == later
    assert "the segment has version 2, but this release of heliograph reads version 1" in caplog.text
    assert (verified.exit_code, "has version 2" in verified.stderr) == (2, True)


def test_dead_letters_that_are_no_database_are_told(orphan: Path) -> None:
    """By their name; what waits is looked at all the same."""
    (orphan / "dead.db").write_bytes(b"garbage" * 1000)

    assert "file is not a database" in run("dead", "list", "--directory", orphan).stderr
    verified = run("verify", "--directory", orphan)
    assert verified.exit_code == 1
    assert "The dead letters are damaged." in verified.stdout
