"""The ambient actor in Flask: the actor of the current request, in `flask.g`.

A context manager around the request would end before a streamed response is read. `flask.g` is there for as long as Flask keeps the
request's context: in views, in async views, which run in a copy of the context, and in `stream_with_context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Flask, g, has_app_context

from heliograph.ambient_actor import Actor, default_actor
from heliograph.host import Host

EXTENSION: Final = "heliograph"
"""The key of the host in `Flask.extensions`."""


def init_app(app: Flask, host: Host) -> None:
    """Give events that are tracked in a request the actor ``flask.g.actor``: a mapping, or a function that returns one.

    It is read when an event is created, where no `acting_as` is active. So it may be set at any time before the first event. Parts of
    the application find the host in ``current_app.extensions["heliograph"]``.

    Args:
        app: The application.
        host: The host that its events are tracked on.
    """
    app.extensions[EXTENSION] = host
    default_actor(actor_in_g)


def actor_in_g() -> Actor | None:
    """Return ``flask.g.actor``, or `None` outside of a request.

    A program may have an ``actor`` of another kind in ``flask.g``. That is no actor either.
    """
    actor = g.get("actor") if has_app_context() else None
    if callable(actor):
        actor = actor()
    return actor if isinstance(actor, Mapping) else None
