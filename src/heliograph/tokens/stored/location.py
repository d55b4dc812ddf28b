"""Decide if a database can keep the tokens of a host, or the tokens that a command works on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from heliograph import sqlite_file
from heliograph.errors import SettingsError

MEMORY: Final = ":memory:"
"""The value of the setting ``token_database`` for tests: the tokens end with the process."""

TOKEN_TABLE: Final = "heliograph_tokens"  # noqa: S105 — the name of a table
"""A table that every file with tokens has."""
_SQLITE: Final = b"SQLite format 3\0"
"""The beginning of every SQLite file that is not empty."""
INTERNAL_TABLE: Final = "catalog_databases"
"""A table that every internal database of Datasette has."""


def prepare(path: Path | None, *, internal: str | None, served: Iterable[str], advice: str) -> None:
    """Check that tokens can be kept as the settings say, and create the file of the setting ``token_database`` if there is none.

    The arguments are those of `location_problem`.

    Raises:
        SettingsError: They cannot be kept.
    """
    problem = location_problem(path, internal=internal, served=served, advice=advice)
    if problem is not None:
        raise SettingsError([problem])
    if path is not None:
        create_private(path)


def location_problem(path: Path | None, *, internal: str | None, served: Iterable[str], advice: str) -> str | None:
    """Return a message if tokens cannot be kept as the settings say, else `None`.

    Args:
        path: The setting ``token_database``.
        internal: The file of the host's internal database; `None` if it ends with the process.
        served: The files of the databases that the host serves.
        advice: The way to give the internal database a file, in this kind of host.
    """
    if path is None:
        if internal is None:
            return (
                "token_handlers: `database` needs a database that outlives the process; set HELIOGRAPH_TOKEN_DATABASE to a "
                f"file, or {advice} (tests set HELIOGRAPH_TOKEN_DATABASE=:memory:)"
            )
        return None
    if is_memory(path):
        return None
    if any(_is_same_file(path, other) for other in served):
        return (
            f"token_database: {path} is a database that this Datasette serves, where everybody can read its tables; name another "
            "file"
        )
    if _is_no_database(path):
        return f"token_database: {path} is not an SQLite database, or cannot be read"
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return f"token_database: the directory {folder} does not exist, or cannot be written"
    return None


def token_file_problem(path: Path, *, may_create: bool) -> str | None:
    """Return a message if a command cannot work on the tokens of a file, else `None`. Nothing is created or changed.

    Tables are never added to a file of other data: Datasette may serve it, and everybody can read the tables that it serves.

    Args:
        path: The file.
        may_create: True accepts a file that does not exist or is empty, and an internal database of Datasette, without the tables.
    """
    if is_memory(path):
        return "tokens in memory end with their process; name a file"
    try:
        is_empty = not path.exists() or not path.stat().st_size
        tables = set() if is_empty else _tables_of(path)
    except (OSError, sqlite3.Error) as error:
        return f"{path} cannot be read: {error}"
    if TOKEN_TABLE in tables or (may_create and (is_empty or INTERNAL_TABLE in tables)):
        return None
    if is_empty or not may_create:
        return f"{path} has no tokens"
    return (
        f"{path} has other tables, but none for tokens. If Datasette serves it, everybody can read its tables; name a file for tokens "
        "alone, or let the program create the first token"
    )


def _tables_of(path: Path) -> set[str]:
    # mode=rw: the file is not created if it was deleted meanwhile.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as connection:
        return {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}


def is_memory(path: Path) -> bool:
    """Return True if the tokens are to end with the process."""
    return str(path) == MEMORY


def create_private(path: Path) -> None:
    """Create the file, for its owner only, if it does not exist. Nothing is created for tokens that end with the process."""
    if not is_memory(path):
        sqlite_file.create_private(path)


def _is_no_database(path: Path) -> bool:
    """Return True if the path is something else than a database or an empty or missing file. Nothing of it is changed."""
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_SQLITE))
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return bool(beginning) and beginning != _SQLITE


def _is_same_file(path: Path, other: str) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        # One of them does not exist yet.
        return path.resolve() == Path(other).resolve()
