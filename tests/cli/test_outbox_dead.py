"""`heliograph outbox dead`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from delivery.outboxes import drain, encoded_record
from delivery.outboxes import run_outbox as run
from delivery.servers import OK, serving
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.outbox.folders import OutboxDirectory


def test_dead_letters_are_listed_shown_and_requeued(abandoned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A requeued letter is delivered once the server accepts it."""
    poisoned = [True]

    def answer(number: int, records: list[str]) -> tuple[int, dict[str, str], bytes]:
        return (400, {"Content-Type": "text/plain"}, b"bad r1") if poisoned[0] and "r1" in records else OK

    with serving(answer) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        assert "Delivered: 2. Rejected: 0. Dead letters: 1." in run("drain", "--directory", abandoned).output
        listed = json.loads(run("dead", "list", "--directory", abandoned, "--json").output)
        assert (listed["uid"], listed["reason"]) == ("r1", "bad_data")
        assert "bad r1" in run("dead", "list", "--directory", abandoned).output
        assert '"uid": "r1"' in run("dead", "show", listed["id"], "--directory", abandoned).output
        poisoned[0] = False
        assert run("dead", "requeue", listed["id"], "--directory", abandoned).exit_code == 0
        assert run("drain", "--directory", abandoned).exit_code == 0

    assert server.accepted == ["r0", "r2", "r1"]
    assert run("dead", "list", "--directory", abandoned).output == ""


def test_all_dead_letters_are_requeued_at_once(abandoned: Path) -> None:
    """Requeued letters keep their resource."""
    with serving(lambda number, records: (413, {}, b"")) as server:
        assert drain(abandoned, server.endpoint).exit_code == 1
    assert "Requeued: 3." in run("dead", "requeue", "--all", "--directory", abandoned).output

    with serving() as server:
        assert drain(abandoned, server.endpoint).exit_code == 0
    assert sorted(server.accepted) == ["r0", "r1", "r2"]
    assert set(server.resources) == {"tests"}
    assert run("dead", "list", "--directory", abandoned).output == ""


def test_dead_letters_stay_if_the_outbox_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is one line, which names the setting to raise."""
    put_dead_letter(tmp_path, encoded_record("r0"), "no")
    monkeypatch.setenv("HELIOGRAPH_OUTBOX_MAX_BYTES", "67108864")
    (tmp_path / "other").write_bytes(b"")
    os.truncate(tmp_path / "other", 2**26)
    result = run("dead", "requeue", "--all", "--directory", tmp_path)

    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert "its maximum size is 67108864 bytes; raise HELIOGRAPH_OUTBOX_MAX_BYTES" in line
    assert "r0" in run("dead", "list", "--directory", tmp_path, "--json").output


def test_message_of_a_server_is_listed_in_one_short_line(tmp_path: Path) -> None:
    """A message may be long, and have characters that a terminal obeys. JSON has all of it."""
    message = "\x1b[2J\n" + "x" * 1000
    put_dead_letter(tmp_path, encoded_record("r0"), message)

    [line] = run("dead", "list", "--directory", tmp_path).output.splitlines()

    assert r"bad_data  \x1b[2J\nxxx" in line
    assert line.endswith("x…")
    assert len(line) < 300
    assert json.loads(run("dead", "list", "--directory", tmp_path, "--json").output)["message"] == message


def test_record_that_cannot_be_decoded_is_shown_without_its_content(tmp_path: Path) -> None:
    """The rest of the dead letter is shown."""
    put_dead_letter(tmp_path, b"garbage", "no")

    shown = json.loads(run("dead", "show", 1, "--directory", tmp_path).output)

    assert (shown["record"], shown["reason"], shown["message"]) == (None, "bad_data", "no")


def put_dead_letter(directory: Path, encoded: bytes, message: str) -> None:
    letters = OutboxDirectory(directory, max_bytes=10**9).dead_letters
    entry = Entry(0, Scope(scope=b""), encoded)
    letters.put(Header(resource=b""), entry, reason="bad_data", message=message)


def test_deleted_dead_letters_are_not_reported_any_more(abandoned: Path) -> None:
    """Dead letters are deleted by ID, or all of them. The exit status of `status` is 0 then."""
    with serving(lambda number, records: (413, {}, b"")) as server:
        drain(abandoned, server.endpoint)
    [first, *_] = map(json.loads, run("dead", "list", "--directory", abandoned, "--json").output.splitlines())

    assert run("status", "--directory", abandoned).exit_code == 1
    assert run("dead", "delete", first["id"], "--directory", abandoned).output == "Deleted: 1.\n"
    assert run("status", "--directory", abandoned).exit_code == 1
    assert run("dead", "delete", "--all", "--directory", abandoned).output == "Deleted: 2.\n"
    assert run("status", "--directory", abandoned).exit_code == 0
