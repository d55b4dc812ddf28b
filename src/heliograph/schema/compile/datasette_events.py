"""What heliograph knows about the events of Datasette's core, which say nothing of it themselves."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from heliograph.events import Attribute, EventOptions, Privacy
from heliograph.semconv import DB_COLLECTION_NAME, DB_NAMESPACE

MODULE: Final = "datasette.events"
"""The module of the classes that this table speaks of."""

OPTIONS: Final = EventOptions(namespace="datasette")

_said = functools.partial(Attribute, privacy=Privacy.PLAIN)
_DATABASE: Final = _said(DB_NAMESPACE, brief="The database.", examples=("content",))
_TABLE: Final = _said(DB_COLLECTION_NAME, brief="The table.", examples=("documents",))
_ROWS: Final = _said(brief="How many rows the request has.", examples=(100,), unit="{row}")
_sql = functools.partial(Attribute, examples=("CREATE TABLE documents (id INTEGER PRIMARY KEY)",), requirement="opt_in")
_PKS: Final = Attribute(brief="The values of the row's primary key.", examples=([1],), requirement="opt_in")

BRIEFS: Final[Mapping[str, str]] = {
    "login": "Somebody logged in.",
    "logout": "Somebody logged out.",
    "create-token": "Somebody created an API token.",
    "create-table": "A table was created.",
    "drop-table": "A table was dropped.",
    "alter-table": "The schema of a table was changed.",
    "rename-table": "A table was renamed.",
    "insert-rows": "Rows were inserted into a table.",
    "upsert-rows": "Rows were inserted into a table, or replaced where they were there.",
    "update-row": "A row was changed.",
    "delete-row": "A row was deleted.",
}
"""What happened, by the event's name as written."""

ATTRIBUTES: Final[Mapping[str, Mapping[str, Attribute]]] = {
    "create-token": {
        "expires_after": _said(brief="The life of the token; without it, it has no end.", examples=(3600,), unit="s"),
        "restrict_all": _said(brief="The actions that it may be used for everywhere.", examples=(["view-table"],)),
        "restrict_database": _said(
            brief="The actions that it may be used for, by database.", examples=({"content": ["view-table"]},)
        ),
        "restrict_resource": _said(
            brief="The actions that it may be used for, by database and table.",
            examples=({"content": {"documents": ["insert-row"]}},),
        ),
    },
    "create-table": {
        "database": _DATABASE,
        "table": _TABLE,
        "schema": _sql(brief="The SQL that made the table."),
    },
    "drop-table": {"database": _DATABASE, "table": _TABLE},
    "alter-table": {
        "database": _DATABASE,
        "table": _TABLE,
        "before_schema": _sql(brief="The SQL of the table before the change."),
        "after_schema": _sql(brief="The SQL of the table after the change."),
    },
    "rename-table": {
        "database": _DATABASE,
        "old_table": _said(brief="The name of the table before.", examples=("documents",)),
        "new_table": _said(brief="The name of the table from now on.", examples=("papers",)),
    },
    "insert-rows": {
        "database": _DATABASE,
        "table": _TABLE,
        "num_rows": _ROWS,
        "ignore": _said(brief="Whether rows whose key is there already are left out.", examples=(False,)),
        "replace": _said(brief="Whether rows whose key is there already are replaced.", examples=(False,)),
    },
    "upsert-rows": {"database": _DATABASE, "table": _TABLE, "num_rows": _ROWS},
    "update-row": {
        "database": _DATABASE,
        "table": _TABLE,
        "pks": _PKS,
    },
    "delete-row": {
        "database": _DATABASE,
        "table": _TABLE,
        "pks": _PKS,
    },
}
"""What each field is, by the event's name as written and the field."""
