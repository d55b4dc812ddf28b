"""Files that somebody else may have prepared are recognized by owner and mode."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from heliograph.runtime.ownership import ownership_problem


def found_as(path: Path, *, user: int, mode: int = 0o100600) -> os.stat_result:
    return os.stat_result([mode, 0, 0, 1, user, *path.stat()[5:]])


@pytest.fixture
def as_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)


def test_own_file_is_trusted(as_user: None, tmp_path: Path) -> None:
    assert ownership_problem(found_as(tmp_path, user=4711), tmp_path) is None


def test_file_of_another_user_is_not(as_user: None, tmp_path: Path) -> None:
    """The superuser's is not either: it may be a trap for the superuser's reader."""
    assert ownership_problem(found_as(tmp_path, user=4712), tmp_path) == "it belongs to the user 4712"
    assert ownership_problem(found_as(tmp_path, user=0), tmp_path) == "it belongs to the user 0"


def test_superuser_trusts_the_owner_of_the_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert ownership_problem(found_as(tmp_path, user=tmp_path.stat().st_uid), tmp_path) is None
    assert ownership_problem(found_as(tmp_path, user=4712), tmp_path) == "it belongs to the user 4712"


def test_file_that_others_may_write_is_not_trusted(as_user: None, tmp_path: Path) -> None:
    assert ownership_problem(found_as(tmp_path, user=4711, mode=0o100602), tmp_path) == "others may write to it"
