"""The actions of Datasette's core, to which a token can be restricted."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action that a token can allow.

    Attributes:
        name: The name of the action.
        abbr: The abbreviation of the action in a token, or `None` if it has none.
    """

    name: str
    abbr: str | None


_ABBREVIATIONS: Final = {
    "view-instance": "vi",
    "permissions-debug": "pd",
    "debug-menu": "dm",
    "view-database": "vd",
    "view-database-download": "vdd",
    "execute-sql": "es",
    "execute-write-sql": "ews",
    "create-table": "ct",
    "create-view": "cv",
    "store-query": "sq",
    "view-table": "vt",
    "insert-row": "ir",
    "delete-row": "dr",
    "update-row": "ur",
    "alter-table": "at",
    "set-column-type": "sct",
    "drop-table": "dt",
    "drop-view": "dv",
    "view-query": "vq",
    "update-query": "uq",
    "delete-query": "dq",
}

CORE_ACTIONS: Final = MappingProxyType({name: Action(name=name, abbr=abbr) for name, abbr in _ABBREVIATIONS.items()})
"""The actions of Datasette's core with their abbreviations, so that restrictions mean the same in both hosts.

The mapping is read-only, because all hosts of a process share it.
"""
