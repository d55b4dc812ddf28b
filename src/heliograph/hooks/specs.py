"""The specifications of the plugin hooks, under pluggy's project name ``datasette``.

The hooks and their arguments have the names that Datasette gave them, so that one plugin file runs unchanged in Datasette and
in a `Host`. The argument ``datasette`` is the host. All hooks except `register_token_handler` may return a coroutine, or an async
function without arguments, instead of their result.

Source: Datasette's documentation, plugin hooks, event tracking.
"""

from __future__ import annotations

from typing import Final

import pluggy

from heliograph.events import Event

PROJECT_NAME: Final = "datasette"
"""The project name of pluggy's markers. A plugin that is marked with Datasette's own `hookimpl` is a plugin of ours too."""

hookspec: Final = pluggy.HookspecMarker(PROJECT_NAME)
"""The marker for the hook specifications in this module."""
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
    """Respond to an event. An async function or a coroutine that is returned is awaited."""


@hookspec
def register_token_handler(datasette: object) -> object:
    """Return a `TokenHandler`, or a list of them, for creating and verifying tokens."""
