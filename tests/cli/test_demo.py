"""`heliograph demo` prints the telemetry of a small program, and reports if everything arrived."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heliograph import __version__
from heliograph.cli import demo
from heliograph.cli.main import cli
from heliograph.receiver.store import Store
from receiver.requests import log_request


def run(*arguments: str) -> Result:
    """Run a command, and return its output and exit status."""
    return CliRunner().invoke(cli, arguments)


def test_version_option() -> None:
    """It prints the version of the package."""
    assert __version__ in run("--version").output


def test_demo_prints_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's settings do not matter, and the file of an earlier demo is replaced."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "nonsense")
    monkeypatch.setenv("HELIOGRAPH_SIGNALS", "nonsense")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing listens there
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "demo.db"
    Store(path).add(log_request("app.old"))

    ran = run("demo", "--database", str(path))

    assert ran.exit_code == 0, ran.output
    for part in (
        "forum.sign_up",
        "forum.ban_user",
        "root banned cleverbot: spam",
        "POST /ban",
        "token.create",
        "token.verify",
        "heliograph.",
        "events: 7 sent, 7 arrived",
        "span events: 5 sent, 5 arrived",
        "token spans: 5 sent, 5 arrived",
        "Everything arrived.",
        f"datasette {path}",
    ):
        assert part in ran.output
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("select event_name from events where event_name != ''")]
    assert sorted(names) == [
        "forum.ban_user",
        "forum.import_posts",
        "forum.sign_up",
        "forum.sign_up",
        "heliograph.token_created",
        "heliograph.token_rejected",
        "heliograph.token_rejected",
    ]


@pytest.mark.parametrize("content", [b"my only copy", b"", b"x" * 5000])
def test_demo_does_not_replace_other_files(tmp_path: Path, content: bytes) -> None:
    """The command fails, and the message names the file and the option."""
    path = tmp_path / "some.txt"
    path.write_bytes(content)

    ran = run("demo", "--database", str(path))

    assert ran.exit_code == 1
    assert str(path) in ran.output
    assert "--database" in ran.output
    assert path.read_bytes() == content


def test_demo_does_not_replace_other_databases(tmp_path: Path) -> None:
    """The SQLite file of another program is not changed."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table events (id integer primary key)")
    before = path.read_bytes()

    assert run("demo", "--database", str(path)).exit_code == 1
    assert path.read_bytes() == before


def test_demo_reports_a_file_that_cannot_be_created(tmp_path: Path) -> None:
    """The folder is missing."""
    ran = run("demo", "--database", str(tmp_path / "missing" / "demo.db"))

    assert ran.exit_code == 1
    assert "demo.db cannot be written" in ran.output


SENT = {"events": 4, "span_events": 2, "token_spans": 5, "flushed": True}
ARRIVED = {"events": 4, "span_events": 2, "token_spans": 5}


@pytest.mark.parametrize(
    ("sent", "arrived", "complete"),
    [
        (SENT, ARRIVED, True),
        (SENT, {**ARRIVED, "events": 3}, False),
        (SENT, {**ARRIVED, "token_spans": 0}, False),
        (SENT, {**ARRIVED, "span_events": 3}, False),
        ({**SENT, "flushed": False}, ARRIVED, False),
    ],
)
def test_result_reports_if_everything_arrived(
    capsys: pytest.CaptureFixture[str], sent: dict[str, int], arrived: dict[str, int], complete: bool
) -> None:
    """Too few records, too many, and a failed flush are reported."""
    assert demo.print_result(sent, arrived, Path("demo.db")) is complete

    output = capsys.readouterr().out
    assert ("Everything arrived." in output) is complete
    assert ("Not everything arrived." in output) is not complete
    assert f"events: 4 sent, {arrived['events']} arrived" in output


def test_demo_fails_if_something_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 1."""
    monkeypatch.setattr(demo, "run_program", lambda endpoint: SENT)

    ran = run("demo", "--database", str(tmp_path / "demo.db"))

    assert ran.exit_code == 1
    assert "events: 4 sent, 0 arrived" in ran.output


def test_demo_fails_if_its_program_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the exit status of the program."""
    monkeypatch.setattr("sys.executable", "/bin/false")

    ran = run("demo", "--database", str(tmp_path / "demo.db"))

    assert ran.exit_code == 1
    assert "failed with exit status 1" in ran.output


def test_demo_fails_if_its_program_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is killed, and the message has the timeout."""
    monkeypatch.setattr(demo, "PROGRAM_TIMEOUT_SECONDS", 0.01)

    ran = run("demo", "--database", str(tmp_path / "demo.db"))

    assert ran.exit_code == 1
    assert "Error: the demo's program did not end within 0.01 seconds" in ran.output
