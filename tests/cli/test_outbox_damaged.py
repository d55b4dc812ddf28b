"""`heliograph outbox damaged`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from delivery.outboxes import drain, make_damaged_orphan
from delivery.outboxes import run_outbox as run
from delivery.servers import serving
from heliograph.delivery.outbox.folders import OutboxDirectory


def test_damaged_files_are_listed_and_deleted(tmp_path: Path) -> None:
    """Damaged files of folders that were sent are in `damaged/`. No file that is not listed can be named."""
    for _ in range(2):
        make_damaged_orphan(tmp_path)
    with serving() as server:
        drain(tmp_path, server.endpoint)
    listed = [
        json.loads(line) for line in run("damaged", "list", "--directory", tmp_path, "--json").output.splitlines()
    ]
    (tmp_path / "dead.db").write_bytes(b"")

    assert len(listed) == 2
    assert f"{listed[0]['name']}  {listed[0]['bytes']} bytes" in run("damaged", "list", "--directory", tmp_path).output
    assert "there is no damaged file dead.db" in run("damaged", "delete", "dead.db", "--directory", tmp_path).output
    assert run("damaged", "delete", listed[0]["name"], "--directory", tmp_path).output == "Deleted: 1.\n"
    assert run("status", "--directory", tmp_path).exit_code == 1
    assert run("damaged", "delete", "--all", "--directory", tmp_path).output == "Deleted: 1.\n"
    assert run("status", "--directory", tmp_path).exit_code == 0
    assert (tmp_path / "dead.db").exists()
    assert list((tmp_path / "damaged").iterdir()) == []


def test_damaged_file_that_somebody_has_deleted_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may disappear after the files were listed."""
    file = make_damaged_orphan(tmp_path) / "damaged" / "deleted"
    monkeypatch.setattr(OutboxDirectory, "damaged_files", lambda box: [file])

    assert run("damaged", "delete", "--all", "--directory", tmp_path).output == "Deleted: 1.\n"


def test_damaged_file_that_cannot_be_deleted_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the reason, and the exit status is 2."""
    make_damaged_orphan(tmp_path)
    with serving() as server:
        drain(tmp_path, server.endpoint)

    def fail(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "unlink", fail)
    result = run("damaged", "delete", "--all", "--directory", tmp_path)

    assert result.exit_code == 2
    assert "it cannot be deleted: Permission denied" in result.output
