"""Declare the fields of Datasette's core events, whose classes declare nothing themselves.

Their fields are declared plain one by one, so that they are exported even if the setting ``privacy_default`` drops fields
that declare nothing. SQL may contain private values, and is therefore opt-in. Primary keys are exported, because "which row?" is
the first question about an event.

The annotations of the core are not always what it sends: `TYPES` has the types of those fields.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from heliograph.events import Attribute, EventOptions, Privacy
from heliograph.schema.model.types import (
    ArrayType,
    BooleanType,
    MapType,
    NullType,
    StringType,
    Type,
    UnionType,
)
from heliograph.semconv import DB_COLLECTION_NAME, DB_NAMESPACE

MODULE: Final = "datasette.events"
"""The module that defines these classes."""

OPTIONS: Final = EventOptions(namespace="datasette")

_public = functools.partial(Attribute, privacy=Privacy.PLAIN)
_DATABASE: Final = _public(DB_NAMESPACE, brief="The database.", examples=("content",))
_TABLE: Final = _public(DB_COLLECTION_NAME, brief="The table.", examples=("documents",))
_ROWS: Final = _public(brief="The number of rows in the request.", examples=(100,), unit="{row}")
_sql = functools.partial(Attribute, examples=("CREATE TABLE documents (id INTEGER PRIMARY KEY)",), requirement="opt_in")
_PKS: Final = _public(brief="The values of the row's primary key.", examples=([1],))

BRIEFS: Final[Mapping[str, str]] = {
    "login": "Somebody logged in.",
    "logout": "Somebody logged out.",
    "create-token": "Somebody created an API token.",
    "create-table": "A table was created.",
    "drop-table": "A table was dropped.",
    "alter-table": "The schema of a table was changed.",
    "rename-table": "A table was renamed.",
    "insert-rows": "Rows were inserted into a table.",
    "upsert-rows": "Rows were inserted into a table, or updated if they existed already.",
    "update-row": "A row was updated.",
    "delete-row": "A row was deleted.",
}
"""The brief of each event, by its name as written."""

ATTRIBUTES: Final[Mapping[str, Mapping[str, Attribute]]] = {
    "create-token": {
        "expires_after": _public(
            brief="The lifetime of the token. Without it, the token does not expire.", examples=(3600,), unit="s"
        ),
        "restrict_all": _public(
            brief="The actions that the token is restricted to, everywhere.", examples=(["view-table"],)
        ),
        "restrict_database": _public(
            brief="The actions that the token is restricted to, by database.", examples=({"content": ["view-table"]},)
        ),
        "restrict_resource": _public(
            brief="The actions that the token is restricted to, by database and table.",
            examples=({"content": {"documents": ["insert-row"]}},),
        ),
    },
    "create-table": {
        "database": _DATABASE,
        "table": _TABLE,
        "schema": _sql(brief="The SQL that created the table."),
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
        "old_table": _public(brief="The old name of the table.", examples=("documents",)),
        "new_table": _public(brief="The new name of the table.", examples=("papers",)),
    },
    "insert-rows": {
        "database": _DATABASE,
        "table": _TABLE,
        "num_rows": _ROWS,
        "ignore": _public(brief="True if rows whose primary key exists already are ignored.", examples=(False,)),
        "replace": _public(brief="True if rows whose primary key exists already are replaced.", examples=(False,)),
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
"""The declaration of each field, by the event's name as written and the field's name."""

_TEXTS: Final = ArrayType(items=StringType())
_FLAG: Final = UnionType(options=(BooleanType(), NullType()))
_BY_DATABASE: Final = MapType(keys=StringType(), values=_TEXTS, is_json_text=True)
_BY_TABLE: Final = MapType(keys=StringType(), values=MapType(keys=StringType(), values=_TEXTS), is_json_text=True)

TYPES: Final[Mapping[str, Mapping[str, Type]]] = {
    # Names of databases and tables are data. As parts of attribute names, they would be an open set of names.
    "create-token": {"restrict_all": _TEXTS, "restrict_database": _BY_DATABASE, "restrict_resource": _BY_TABLE},
    # `/-/create` with rows passes what the request has: `None` if it has neither.
    "insert-rows": {"ignore": _FLAG, "replace": _FLAG},
}
"""The types of fields whose annotations do not say what arrives, by the event's name as written and the field's name."""
