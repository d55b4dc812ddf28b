"""The databases of a host, by name: those of the program, and those that a host needs itself.

Threads: a host creates all databases before it is used, so reading them needs no lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Final

from heliograph.errors import DatabaseNotFound
from heliograph.host.database import Database
from heliograph.runtime.loop import BackgroundLoop

INTERNAL: Final = "_internal"
"""The database for plugins' own data."""
TOKENS: Final = "_tokens"
"""The database that has only tokens."""


class Databases:
    """Databases by name.

    Args:
        files: The file of each database of the program, by name. The database for plugins' own data is in memory, unless it is among them.
        background: Writes in the background.

    Raises:
        TypeError: The files are not such a mapping.
    """

    def __init__(self, files: Mapping[str, str | PathLike[str]], background: BackgroundLoop) -> None:
        if not isinstance(files, Mapping) or not all(map(_is_named_file, files.items())):
            raise TypeError("the argument `databases` must map names to files, such as databases={'data': 'data.db'}")
        self._background = background
        self._databases: dict[str, Database] = {}
        for name, path in {INTERNAL: ":memory:", **files}.items():
            self.add(name, path)

    def add(self, name: str, path: str | PathLike[str]) -> Database:
        """Add a database, and return it."""
        database = self._databases[name] = Database(name, path, background=self._background)
        return database

    def get(self, name: str | None = None) -> Database:
        """Return the database with that name, or the first one of the program if no name is given.

        Raises:
            DatabaseNotFound: There is no such database.
        """
        named = [known for known in self._databases if known not in {INTERNAL, TOKENS}]
        wanted = name if name is not None else next(iter(named), None)
        if wanted is None or wanted not in self._databases:
            raise DatabaseNotFound(name, named)
        return self._databases[wanted]

    def close(self) -> None:
        """Close all databases. A database that is used again opens its file again."""
        for database in self._databases.values():
            database.close()


def _is_named_file(item: tuple[object, object]) -> bool:
    name, path = item
    return isinstance(name, str) and isinstance(path, (str, PathLike))
