"""`heliograph demo` shows the whole way of an event, and says whether everything arrived."""

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


def run(*arguments: str) -> Result:
    """What the command said, and its exit code."""
    return CliRunner().invoke(cli, arguments)


def test_version() -> None:
    """The command says its version."""
    assert __version__ in run("--version").output


def test_demo_shows_what_arrived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events, spans and metrics are shown, all arrived, whatever the environment says; an older file is replaced."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "nonsense")
    monkeypatch.setenv("HELIOGRAPH_SIGNALS", "nonsense")
    path = tmp_path / "demo.db"
    store = Store(path)
    store._insert({"events": [{"event_name": "app.old"}]})
    store.close()

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
        "events: 4 sent, 4 arrived",
        "span events: 2 sent, 2 arrived",
        "token spans: 5 sent, 5 arrived",
        "Everything arrived.",
        f"datasette {path}",
    ):
        assert part in ran.output
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("select event_name from events where event_name != ''")]
    assert sorted(names) == ["forum.ban_user", "forum.import_posts", "forum.sign_up", "forum.sign_up"]


@pytest.mark.parametrize("content", [b"my only copy", b"", b"x" * 5000])
def test_demo_leaves_other_files_alone(tmp_path: Path, content: bytes) -> None:
    """A file that no demo made is not replaced: the command says so, and fails."""
    path = tmp_path / "some.txt"
    path.write_bytes(content)

    ran = run("demo", "--database", str(path))

    assert ran.exit_code == 1
    assert str(path) in ran.output
    assert "--database" in ran.output
    assert path.read_bytes() == content


def test_demo_leaves_other_databases_alone(tmp_path: Path) -> None:
    """A SQLite file of somebody else's stays, too."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table events (id integer primary key)")
    before = path.read_bytes()

    assert run("demo", "--database", str(path)).exit_code == 1
    assert path.read_bytes() == before


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
def test_conclusion(
    capsys: pytest.CaptureFixture[str], sent: dict[str, int], arrived: dict[str, int], complete: bool
) -> None:
    """Less than was sent, more than was sent, and a flush that failed are not complete."""
    assert demo.conclude(sent, arrived, Path("demo.db")) is complete

    said = capsys.readouterr().out
    assert ("Everything arrived." in said) is complete
    assert ("Not all arrived." in said) is not complete
    assert f"events: 4 sent, {arrived['events']} arrived" in said


def test_demo_fails_when_something_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 1 when less arrived than was sent."""
    monkeypatch.setattr(demo, "run_program", lambda endpoint: SENT)

    ran = run("demo", "--database", str(tmp_path / "demo.db"))

    assert ran.exit_code == 1
    assert "events: 4 sent, 0 arrived" in ran.output


def test_demo_fails_when_the_program_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that fails is told, with its status."""
    monkeypatch.setattr("sys.executable", "/bin/false")

    ran = run("demo", "--database", str(tmp_path / "demo.db"))

    assert ran.exit_code == 1
    assert "ended with status 1" in ran.output
