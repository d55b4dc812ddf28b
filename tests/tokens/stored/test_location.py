"""Tokens are kept where they outlive the process, and where nobody can read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from heliograph.tokens.stored import location


def problem(path: Path | None, internal: str | None = None, served: tuple[str, ...] = ()) -> str | None:
    return location.location_problem(path, internal=internal, served=served, advice="give it a file")


def test_places_that_can_be_used(tmp_path: Path) -> None:
    """A file of their own, an internal database in a file, and the memory if it is named."""
    assert problem(tmp_path / "tokens.db") is None
    assert problem(None, internal=str(tmp_path / "internal.db")) is None
    assert problem(Path(":memory:")) is None


def test_database_that_ends_with_the_process_is_a_problem() -> None:
    """The message names the ways out, for programs and for tests."""
    found = problem(None)

    assert found is not None
    assert "set HELIOGRAPH_TOKEN_DATABASE to a file, or give it a file" in found
    assert "HELIOGRAPH_TOKEN_DATABASE=:memory:" in found


@pytest.mark.parametrize("exists", [True, False])
def test_served_database_is_a_problem(tmp_path: Path, exists: bool) -> None:
    """The tables of a database that Datasette serves are public by default. Any path to it is recognized."""
    data = tmp_path / "data.db"
    if exists:
        data.touch()
        (tmp_path / "other.db").touch()

    found = problem(tmp_path / "." / "data.db", served=(str(tmp_path / "other.db"), str(data)))

    assert found is not None
    assert "everybody can read its tables" in found
    assert problem(tmp_path / "tokens.db", served=(str(data),)) is None


@pytest.mark.parametrize("kind", ["text", "folder"])
def test_file_that_is_no_database_is_a_problem(tmp_path: Path, kind: str) -> None:
    """The problem is reported at the start, and not by the first request. Nothing in the file is changed."""
    path = tmp_path / "tokens.db"
    if kind == "text":
        path.write_text("the notes of somebody")
    else:
        path.mkdir()

    assert problem(path) == f"token_database: {path} is not an SQLite database, or cannot be read"
    assert kind == "folder" or path.read_text() == "the notes of somebody"


def test_missing_directory_is_a_problem(tmp_path: Path) -> None:
    """The message names the directory."""
    found = problem(tmp_path / "missing" / "tokens.db")

    assert found == f"token_database: the directory {tmp_path / 'missing'} does not exist, or cannot be written"


@pytest.mark.usefixtures("open_umask")
def test_new_file_is_private(tmp_path: Path) -> None:
    """An existing file keeps its permissions, and nothing is created for the memory."""
    location.create_private(tmp_path / "tokens.db")
    (tmp_path / "old.db").touch(mode=0o640)
    location.create_private(tmp_path / "old.db")
    location.create_private(Path(":memory:"))

    assert stat.S_IMODE((tmp_path / "tokens.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "old.db").stat().st_mode) == 0o640
    assert not Path(":memory:").exists()
