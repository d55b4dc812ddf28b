"""Directories for `datasette serve`, and requests that write to it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from heliograph import Host, Settings
from processes import Server

SECRET = "the secret of the processes"
ARGUMENTS = ("data.db", "--plugins-dir", "plugins", "--config", "datasette.json")


def prepare(directory: Path) -> None:
    """Fill the directory: a database `data`, a folder of plugins, and a configuration in which `alice` may write."""
    with closing(sqlite3.connect(directory / "data.db")) as connection:
        connection.execute("vacuum")
    (directory / "plugins").mkdir()
    configure(directory, {})


def configure(directory: Path, plugins: dict[str, dict[str, object]]) -> None:
    permissions = {action: {"id": "alice"} for action in ("create-table", "insert-row", "drop-table")}
    (directory / "datasette.json").write_text(json.dumps({"permissions": permissions, "plugins": plugins}))


def good_token() -> str:
    with Host(Settings(secret=(SECRET,))) as host:
        return host.call(host.create_token, "alice")


def create_table(server: Server, table: str = "plants") -> int:
    body = {"table": table, "columns": [{"name": "id", "type": "integer"}], "pk": "id"}
    return server.post("/data/-/create", body, good_token()).status
