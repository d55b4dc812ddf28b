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
"""The marker for a plugin's hook functions: `startup`, `register_events`, `track_event` and `register_token_handler`.

A hook function takes the arguments of the hook that it needs, in any order. pluggy documents the options ``tryfirst``, ``trylast``,
``wrapper`` and ``specname``. The marker of Datasette works as well.
"""


@hookspec
def startup(datasette: object) -> object:
    """Prepare the plugin: create tables, read configuration.

    It is called once for each host: when the host is entered, or before its first event or token, whichever is first. If it fails, a host
    logs and counts that (``heliograph.hook.failures``), removes the plugin and goes on.

    Args:
        datasette: The host: a `heliograph.Host` or a ``Datasette``.

    Returns:
        `None`, or something to await, which is a coroutine or an async function without arguments.
    """


@hookspec
def register_events(datasette: object) -> object:
    """Return the event classes that the program may track.

    It is called when the host is made, or when the plugin is added to one. A result that has to be awaited is awaited before the first
    event. If the hook fails, making the host raises `PluginError`; a class without a schema is a `SchemaError`.

    Args:
        datasette: The host: a `heliograph.Host` or a ``Datasette``.

    Returns:
        A list of subclasses of `heliograph.Event` or of Datasette's own ``Event``, or one of them, or something to await that has such a
        result.
    """


@hookspec
def track_event(datasette: object, event: Event) -> object:
    """Respond to an event.

    It is called for every event, after the telemetry was emitted, in the thread that tracked the event. If it fails, a host logs and counts
    that (``heliograph.hook.failures``), and calls the hooks of the other plugins.

    Args:
        datasette: The host: a `heliograph.Host` or a ``Datasette``.
        event: The event, as the program made it. Its privacy is not applied.

    Returns:
        `None`, or something to await, which is a coroutine or an async function without arguments. `Host.track_event` awaits it;
        after `Host.track` it runs later, on the host's own loop, in the order of events.
    """


@hookspec
def register_token_handler(datasette: object) -> object:
    """Return the plugin's token handlers. Unlike the others, this hook cannot be async.

    It is called for each creation and each verification of a token, so return the same object each time. The handlers of plugins that
    were registered later come first; a new token is made by the first of all.

    Args:
        datasette: The host: a `heliograph.Host` or a ``Datasette``.

    Returns:
        An object with the methods of `heliograph.TokenHandler`, a list of such objects, or `None`.
    """
