"""The outbox that a command works on: the one that is named, or the one of the settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from delivery.outboxes import make_orphan
from delivery.outboxes import run_outbox as run
from heliograph.cli.outbox_directory import open_outbox
from heliograph.errors import OutboxFull


def test_named_outbox_comes_before_the_one_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is for programs. A person may look at another outbox."""
    named, of_environment = (make_orphan(tmp_path / name, "r0") for name in ("named", "environment"))
    monkeypatch.setenv("HELIOGRAPH_OUTBOX", str(of_environment.parent))

    shown = [json.loads(run("status", "--json", *more).stdout) for more in ([], ["--directory", named.parent])]

    assert [state["folders"][0]["folder"] for state in shown] == [of_environment.name, named.name]


def test_outbox_of_the_environment_that_is_a_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the variable is a wrong call, as a file behind `--directory` is."""
    (tmp_path / "outbox").write_text("")
    monkeypatch.setenv("HELIOGRAPH_OUTBOX", str(tmp_path / "outbox"))

    result = run("status")

    assert result.exit_code == 2
    assert "outbox is not a directory" in result.output


def test_outbox_has_the_limit_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command and the programs agree about the size of an outbox."""
    monkeypatch.setenv("HELIOGRAPH_OUTBOX_MAX_BYTES", "100000000")
    space = open_outbox(tmp_path).space

    space.check(100_000_000)
    with pytest.raises(OutboxFull):
        space.check(100_000_001)
