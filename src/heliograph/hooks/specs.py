"""The plugin hooks of a host, under pluggy's project name ``datasette``.

They are Datasette's, with the names of its arguments: one plugin file runs, unchanged, in Datasette and in a `Host`.
``datasette`` is the host. A hook returns its result; all but `register_token_handler` may also return an async function
that gives it, or a coroutine.

Source: Datasette's documentation, plugin hooks, event tracking.
"""

from __future__ import annotations

from typing import Final

import pluggy

from heliograph.events import Event

PROJECT_NAME: Final = "datasette"

hookspec: Final = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl: Final = pluggy.HookimplMarker(PROJECT_NAME)
"""The marker for a plugin's hook functions."""


@hookspec
def startup(datasette: object) -> object:
    """Run once, before the first event."""


@hookspec
def register_events(datasette: object) -> object:
    """Return a list of `Event` subclasses that the program may track."""


@hookspec
def track_event(datasette: object, event: Event) -> object:
    """Respond to an event; what is returned, if it is an async function, is awaited."""


@hookspec
def register_token_handler(datasette: object) -> object:
    """Return a `TokenHandler`, or a list of them, for creating and verifying tokens."""
