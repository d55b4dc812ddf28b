"""Find the route of a request of Datasette, for events that have it as an attribute (``HELIOGRAPH_CONTEXT``).

Datasette writes the route of a request only into its own span, and only if the span is recording. Events must not depend on sampling. So,
when an event first needs it, the list of routes is created again, by a method that Datasette does not document.
"""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING

from datasette.utils import resolve_routes

if TYPE_CHECKING:
    from datasette.app import Datasette


class Routes:
    """The routes of a `Datasette` object, which is held weakly, because its application holds this one."""

    def __init__(self, datasette: Datasette) -> None:
        self._datasette = weakref.ref(datasette)
        self._routes: list[tuple[re.Pattern[str], object]] | None = None

    def find(self, path: str) -> str | None:
        """Return the regular expression of a path's route, as in the attribute ``http.route`` of Datasette's own spans, or `None`."""
        datasette = self._datasette()
        if self._routes is None and datasette is not None:
            self._routes = datasette._routes()  # noqa: SLF001 — see the module's documentation
        match, _ = resolve_routes(self._routes or [], path)
        return None if match is None else match.re.pattern
