"""The commands of `heliograph outbox`: status, drain, verify, export, and dead letters."""

from __future__ import annotations

import json
import struct
import urllib.request
from pathlib import Path
from zlib import crc32

import pytest

from backends import Collector, wait_until
from delivery.outboxes import (
    drain,
    encoded_record,
    files_in_use,
    folders_in,
    logging_to,
    make_damaged_orphan,
    make_orphan,
)
from delivery.outboxes import run_outbox as run
from delivery.servers import serving
from heliograph.delivery.journal import filesystems
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import LOGS


def test_status_shows_waiting_records(abandoned: Path) -> None:
    """The command prints text, and JSON with `--json`."""
    result = run("status", "--directory", abandoned)
    (folder,) = folders_in(abandoned)

    assert result.output.startswith(f"{folder.name}  orphaned  waiting: 3, oldest: ")
    assert "Total waiting: 3. Dead letters: 0. Damaged files: 0. Size: " in result.output
    found = json.loads(run("status", "--directory", abandoned, "--json").output)
    assert (found["waiting"], found["folders"][0]["held"]) == (3, False)


def test_verify_reports_damage_and_changes_nothing(abandoned: Path) -> None:
    """The exit status of `verify` is 1 if a journal is damaged."""
    before = contents(abandoned)
    sound = run("verify", "--directory", abandoned)
    assert (sound.exit_code, contents(abandoned)) == (0, before)
    assert "3 readable records, 0 damaged (0 bytes)" in sound.stdout

    damaged = make_damaged_orphan(abandoned)
    before = contents(abandoned)
    found = run("verify", "--directory", abandoned, "--json")
    assert (found.exit_code, contents(abandoned)) == (1, before)
    [of_damaged] = [each for each in json.loads(found.stdout)["folders"] if each["folder"] == damaged.name]
    assert (of_damaged["waiting"], of_damaged["damaged"]) == (2, 1)
    assert of_damaged["damaged_bytes"] > 10


def test_unfinished_record_at_the_end_is_no_damage(tmp_path: Path) -> None:
    """A process writes it at that moment, or was killed while it wrote it."""
    folder = make_orphan(tmp_path, "r0")
    [(_, path)] = segments(folder)
    with path.open("ab") as file:
        file.write(bytes(4) + b"a record without its length")
    [lock] = OutboxDirectory(tmp_path, max_bytes=10**9).lock_orphans(LOGS)
    live = run("verify", "--directory", tmp_path, "--json")
    lock.release()
    ended = run("verify", "--directory", tmp_path, "--json")

    [of_live], [of_ended] = (json.loads(result.stdout)["folders"] for result in (live, ended))
    assert (live.exit_code, of_live["damaged"], of_live["damaged_bytes"]) == (0, 0, 0)
    assert (ended.exit_code, of_ended["damaged"], of_ended["damaged_bytes"]) == (0, 0, 0)


def test_verify_reports_records_that_are_missing(tmp_path: Path) -> None:
    """Somebody has deleted a segment between two others. There are no damaged bytes then."""
    folder = make_orphan(tmp_path)
    writer = JournalWriter(folder, Header(resource=b""), segment_bytes=4096)
    while len(segments(folder)) < 3:
        writer.append(Scope(scope=b""), encoded_record("r", size=1000))
    writer.close()
    [_, (first, middle), (following, _)] = segments(folder)
    middle.unlink()

    result = run("verify", "--directory", tmp_path, "--json")

    [found] = json.loads(result.stdout)["folders"]
    assert (result.exit_code, found["damaged"], found["damaged_bytes"]) == (1, following - first, 0)


@pytest.mark.parametrize("command", ["status", "verify", "export"])
def test_command_closes_what_it_reads(abandoned: Path, command: str) -> None:
    """An outbox may have more folders than a process may have open files."""
    run(command, "--directory", abandoned)

    assert files_in_use(abandoned) == []


@pytest.mark.parametrize(("kind", "write"), [("ext4", "map"), ("nfs4", "pwrite")])
def test_status_shows_how_records_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, write: str
) -> None:
    """The file system decides how records are written, if the setting is `auto`."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / / rw - {kind} device rw\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts)

    result = run("status", "--directory", tmp_path)

    assert f"On {kind}, HELIOGRAPH_OUTBOX_WRITE=auto means {write}." in result.stdout
    assert json.loads(run("status", "--directory", tmp_path, "--json").stdout)["write"] == write


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_export_writes_lines_of_otlp_json(abandoned: Path, tmp_path: Path) -> None:
    """The command writes the waiting records, or the dead letters. Both stay in the outbox."""
    output = tmp_path / "out.jsonl"
    assert run("export", "--directory", abandoned, "--output", output).exit_code == 0
    [line] = map(json.loads, output.read_text().splitlines())
    records = line["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert [record["body"]["stringValue"] for record in records] == ["r0", "r1", "r2"]
    assert line["resourceLogs"][0]["resource"]["attributes"][0]["value"] == {"stringValue": "tests"}
    assert run("export", "--directory", abandoned, "--dead").stdout == ""

    with serving(lambda number, records: (413, {}, b"")) as server:
        drain(abandoned, server.endpoint)
    dead = run("export", "--directory", abandoned, "--dead").stdout.splitlines()
    assert len(dead) == 3
    assert json.loads(dead[0])["resourceLogs"][0]["scopeLogs"][0]["scope"]["name"] == "tests"


def test_export_has_the_records_of_renamed_segments(tmp_path: Path) -> None:
    """`drain` sends them, too. Somebody has restored a backup under other names."""
    [(_, path)] = segments(make_orphan(tmp_path, "r0"))
    path.rename(path.with_name("copy.journal"))

    assert "r0" in run("export", "--directory", tmp_path).stdout


def test_collector_reads_an_export(abandoned: Path, tmp_path: Path, collector: Collector) -> None:
    """A real Collector accepts the exported lines as OTLP/JSON requests."""
    exported = run("export", "--directory", abandoned).stdout
    headers = {"Content-Type": "application/json"}
    for line in exported.splitlines():
        request = urllib.request.Request(f"{collector.otlp_http_endpoint}/v1/logs", line.encode(), headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            assert response.status == 200

    wait_until(lambda: {"r0", "r1", "r2"} <= {str(log.attributes.get("log.record.uid")) for log in collector.logs()})


def test_folders_of_running_processes_are_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`status`, `verify` and `export` show their records. `drain` sends none of them."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint) as emit:
        emit("mine")
        [folder] = json.loads(run("status", "--directory", tmp_path, "--json").stdout)["folders"]
        assert (folder["held"], folder["waiting"]) == (True, 1)
        assert run("verify", "--directory", tmp_path).exit_code == 0
        assert "mine" in run("export", "--directory", tmp_path).stdout
        with serving() as server:
            assert json.loads(drain(tmp_path, server.endpoint, "--json").stdout)["delivered"] == 0


@pytest.mark.parametrize("command", ["status", "verify", "export"])
def test_folder_that_is_deleted_meanwhile_is_skipped(
    abandoned: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The owner of a folder may send all of it after the folder was listed."""
    folders = [abandoned / "deleted", *folders_in(abandoned)]
    monkeypatch.setattr(OutboxDirectory, "folders", lambda box: folders)

    result = run(command, "--directory", abandoned)

    assert result.exit_code == (1 if command == "status" else 0)
    assert "deleted" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["status"], 2, "set HELIOGRAPH_OUTBOX"),
        (["status", "--directory", "nowhere"], 2, "does not exist"),
        (["dead", "show", "7", "--directory", "."], 1, "there is no dead letter with ID 7"),
        (["dead", "requeue", "7", "--directory", "."], 1, "there is no dead letter with ID 7"),
        (["dead", "requeue", "--directory", "."], 2, "or use --all"),
        (["dead", "requeue", "1", "--all", "--directory", "."], 2, "or use --all"),
        (["dead", "delete", "--directory", "."], 2, "or use --all"),
        (["damaged", "delete", "--directory", "."], 2, "or use --all"),
        (["export", "--directory", ".", "--output", "no/such/folder/file"], 2, "No such file"),
    ],
)
def test_wrong_call_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, message: str
) -> None:
    """The exit status is 2 for a wrong call, and 1 for a dead letter that does not exist."""
    monkeypatch.chdir(tmp_path)

    result = run(*arguments)

    assert result.exit_code == status
    assert message in result.output


def test_outbox_of_the_environment_that_does_not_exist_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says when it is created, and no command creates it."""
    monkeypatch.setenv("HELIOGRAPH_OUTBOX", str(tmp_path / "outbox"))

    result = run("status")

    assert result.exit_code == 2
    assert "is created when a program first uses it as its outbox" in result.output
    assert list(tmp_path.iterdir()) == []


def test_segments_of_a_later_version_are_not_touched(abandoned: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Records of a later version are neither sent nor deleted, and an error names both versions."""
    [folder] = folders_in(abandoned)
    [(_, path)] = segments(folder)
    head = b"HELIOJNL" + struct.pack("<HI", 99, 0)
    later = head + struct.pack("<I", crc32(head)) + b"content of another form"
    path.write_bytes(later)

    with serving() as server:
        drained = drain(abandoned, server.endpoint)
    verified = run("verify", "--directory", abandoned)

    assert (drained.exit_code, server.requests) == (1, [])
    assert path.read_bytes() == later
    assert "the segment has version 99, but this release of heliograph reads versions up to 2" in caplog.text
    assert (verified.exit_code, "has version 99" in verified.stderr) == (2, True)


def test_damaged_file_of_dead_letters_is_reported(abandoned: Path) -> None:
    """The waiting records are verified all the same."""
    (abandoned / "dead.db").write_bytes(b"garbage" * 1000)

    status = run("status", "--directory", abandoned)
    assert status.exit_code == 1
    assert f"Stuck: {abandoned / 'dead.db'}" in status.stdout
    assert "file is not a database" in run("dead", "list", "--directory", abandoned).stderr
    verified = run("verify", "--directory", abandoned)
    assert verified.exit_code == 1
    assert "The file of dead letters is damaged." in verified.stdout
