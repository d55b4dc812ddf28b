"""A host finds its databases by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph import DatabaseNotFound
from heliograph.host.databases import INTERNAL, TOKENS, Databases
from heliograph.runtime.loop import BackgroundLoop


def test_first_database_is_the_programs(tmp_path: Path) -> None:
    """The databases that a host needs itself are found by their names only."""
    databases = Databases({"one": tmp_path / "1.db", "two": tmp_path / "2.db"}, BackgroundLoop())
    tokens = databases.add(TOKENS, ":memory:")

    assert databases.get().name == "one"
    assert databases.get("two").path == str(tmp_path / "2.db")
    assert databases.get(INTERNAL).path == ":memory:"
    assert databases.get(TOKENS) is tokens


def test_database_that_does_not_exist_is_an_error() -> None:
    """The error names the databases of the program."""
    databases = Databases({INTERNAL: ":memory:"}, BackgroundLoop())
    with pytest.raises(DatabaseNotFound):
        databases.get()
    databases.add("one", ":memory:")
    with pytest.raises(DatabaseNotFound, match="one"):
        databases.get("two")


@pytest.mark.anyio
async def test_closed_databases_open_again(tmp_path: Path) -> None:
    """A host may be entered again after its shutdown."""
    databases = Databases({"one": tmp_path / "1.db"}, BackgroundLoop())
    await databases.get().execute_write("create table pages (number integer)")
    databases.close()

    assert (await databases.get().execute("select count(*) from pages")).single_value() == 0
    databases.close()
