"""`heliograph outbox` shows what waits, sends it, and sees to what is dead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from delivery.outboxes import left, logging_to
from delivery.servers import OK, serving
from heliograph.cli.main import cli


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["outbox", *map(str, arguments)])


@pytest.fixture
def leftover(tmp_path: Path) -> Path:
    """An outbox in which a process left three records."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path / "box", down.endpoint) as emit:
        for number in range(3):
            emit(f"r{number}")
    return tmp_path / "box"


def test_status_tells_what_waits(leftover: Path) -> None:
    """For people, and for programs."""
    result = run("status", "--directory", leftover)
    (folder,) = left(leftover)

    assert result.output.startswith(f"{folder.name}  left behind  3 records wait, the oldest for ")
    assert "3 records wait; 0 dead letters; 0 files with damage;" in result.output
    found = json.loads(run("status", "--directory", leftover, "--json").output)
    assert (found["waiting"], found["folders"][0]["held"]) == (3, False)


def test_drain_sends_what_processes_left(leftover: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves nothing behind; where the server takes nothing, all stays."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", down.endpoint)
        refused = run("drain", "--directory", leftover)
    assert refused.exit_code == 1
    assert "Not all was delivered: it stays." in refused.output

    with serving() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        result = run("drain", "--directory", leftover)

    assert result.exit_code == 0
    assert "3 delivered, 0 rejected, 0 dead, 0 damaged, 0 retried." in result.output
    assert server.accepted == ["r0", "r1", "r2"]
    assert left(leftover) == []


def test_dead_letters_are_listed_shown_and_put_back(leftover: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the server was mended, they arrive."""
    poisoned = [True]

    def answer(number: int, records: list[str]) -> tuple[int, dict[str, str], bytes]:
        return (400, {"Content-Type": "text/plain"}, b"bad r1") if poisoned[0] and "r1" in records else OK

    with serving(answer) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        assert "2 delivered, 0 rejected, 1 dead," in run("drain", "--directory", leftover).output
        listed = json.loads(run("dead", "list", "--directory", leftover, "--json").output)
        assert (listed["uid"], listed["reason"]) == ("r1", "bad_data")
        assert "bad r1" in run("dead", "list", "--directory", leftover).output
        assert '"uid": "r1"' in run("dead", "show", listed["id"], "--directory", leftover).output
        poisoned[0] = False
        assert run("dead", "requeue", listed["id"], "--directory", leftover).exit_code == 0
        assert run("drain", "--directory", leftover).exit_code == 0

    assert server.accepted == ["r0", "r2", "r1"]
    assert run("dead", "list", "--directory", leftover).output == ""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["status"], 2, "say which outbox"),
        (["status", "--directory", "nowhere"], 2, "does not exist"),
        (["dead", "show", "7", "--directory", "."], 1, "there is no dead letter 7"),
        (["dead", "requeue", "7", "--directory", "."], 1, "there is no dead letter 7"),
        (["dead", "requeue", "--directory", "."], 2, "their numbers, or --all"),
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
