"""The ambient actor in Flask: the actor of the current request, in `flask.g`. The attributes of the request are those of `flask.request`.

A context manager around the request would end before a streamed response is read. `flask.g` is there for as long as Flask keeps the
request's context: in views, in async views, which run in a copy of the context, and in `stream_with_context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Flask, g, has_app_context, has_request_context, request

from heliograph.ambient_actor import Actor, RequestActor, default_actor
from heliograph.host import Host
from heliograph.integrations.request_attributes import of_environ
from heliograph.semconv import HTTP_ROUTE

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
    default_actor(CURRENT_REQUEST)


class CurrentRequest(RequestActor):
    """The current request of Flask, whichever that is. It keeps nothing."""

    def unknown(self) -> Actor | None:
        """Return ``flask.g.actor``."""
        return actor_in_g()

    def attribute(self, name: str) -> object:
        """Return an attribute of ``flask.request``, or `None` outside of requests."""
        if not has_request_context():
            return None
        if name != HTTP_ROUTE:
            return of_environ(request.environ, name)
        return None if request.url_rule is None else f"{request.environ.get('SCRIPT_NAME', '')}{request.url_rule.rule}"


CURRENT_REQUEST: Final = CurrentRequest()
"""One object for all applications, so that it is asked once."""


def actor_in_g() -> Actor | None:
    """Return ``flask.g.actor``, or `None` outside of a request.

    A program may have an ``actor`` of another kind in ``flask.g``. That is no actor either.
    """
    actor = g.get("actor") if has_app_context() else None
    # Asked before `callable`: a `LocalProxy` of a mapping can be called, and then fails.
    if callable(actor) and not isinstance(actor, Mapping):
        actor = actor()
    return actor if isinstance(actor, Mapping) else None
