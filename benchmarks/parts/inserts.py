"""A Datasette, in this process, that inserts rows by its JSON API."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path


class Inserts:
    """A Datasette with one table. Import and make it only after the global providers are set.

    Args:
        directory: The folder for its database.
    """

    def __init__(self, directory: Path) -> None:
        # Other plugins would export telemetry, too.
        os.environ["DATASETTE_LOAD_PLUGINS"] = "heliograph"
        from datasette.app import Datasette

        path = directory / "data.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("create table plants (id integer primary key, name text)")
            connection.execute("pragma journal_mode = wal")
        self._datasette = Datasette([str(path)], config={"permissions": {"insert-row": True}})

    async def insert(self) -> None:
        """Insert one row."""
        response = await self._datasette.client.post("/data/plants/-/insert", json={"row": {"name": "fern"}})
        assert response.status_code == 201, response.text  # noqa: PLR2004 — HTTP
