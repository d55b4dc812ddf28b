"""What heliograph knows about the events of Datasette's core, which say nothing of it themselves."""

from __future__ import annotations

from typing import Final

from heliograph.semconv import DB_COLLECTION_NAME, DB_NAMESPACE

MODULE: Final = "datasette.events"
"""The module of the classes that this table speaks of."""

NAMESPACE: Final = "datasette"

ATTRIBUTES: Final = {"database": DB_NAMESPACE, "table": DB_COLLECTION_NAME}
"""The attributes of the fields that the semantic conventions have a name for."""
