"""Processes of the demo that fail are reported in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.demo import processes
from heliograph.demo.processes import DemoFailed, drain, finished_forum, killed_forum

NOWHERE = "http://127.0.0.1:9"


def script(folder: Path, text: str) -> str:
    """Return the path of a program that is run instead of Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exit 3", "failed with exit status 3: it printed no error"),
        ("echo first >&2; echo last >&2; exit 1", "failed with exit status 1: last"),
    ],
)
def test_a_failure_has_the_last_line_of_the_errors(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the program or the command that failed."""
    monkeypatch.setattr("sys.executable", script(tmp_path, text))

    with pytest.raises(DemoFailed, match=f"the demo's program {message}"):
        finished_forum(NOWHERE, tmp_path / "quarantine.db")
    with pytest.raises(DemoFailed, match=f"the demo's command `heliograph outbox drain` {message}"):
        drain(NOWHERE, tmp_path / "outbox")


def test_the_receiver_is_not_looked_for_at_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment, in a variable in upper or lower case, does not count."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "intranet.example")

    environ = processes._environment(NOWHERE)
    assert (environ["no_proxy"], environ["NO_PROXY"]) == ("127.0.0.1", "127.0.0.1")


def test_a_program_that_tracks_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may end before it was killed."""
    monkeypatch.setattr("sys.executable", script(tmp_path, "echo broken >&2"))

    with pytest.raises(DemoFailed, match="the demo's program tracked nothing: broken"):
        killed_forum(NOWHERE, tmp_path / "outbox")


def test_a_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program, and the one that should be killed later."""
    monkeypatch.setattr("sys.executable", script(tmp_path, "exec sleep 600"))
    monkeypatch.setattr(processes, "TIMEOUT_SECONDS", 0.01)

    with pytest.raises(DemoFailed, match=r"did not end within 0\.01 seconds and was killed"):
        finished_forum(NOWHERE, tmp_path / "quarantine.db")
    with pytest.raises(DemoFailed, match="tracked nothing: it printed no error"):
        killed_forum(NOWHERE, tmp_path / "outbox")
