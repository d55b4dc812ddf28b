"""The ambient actor in Flask: the actor of the current request, in `flask.g`. The attributes of the request are those of `flask.request`.

A context manager around the request would end before a streamed response is read. `flask.g` is there for as long as Flask keeps the
request's context: in views, in async views, which run in a copy of the context, and in `stream_with_context`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flask import Flask, g, has_app_context, has_request_context, request

from heliograph.ambient_actor import Actor, RequestActor, default_actor
from heliograph.arguments import A_FLAG, A_HOST, check_argument
from heliograph.host import Host
from heliograph.integrations.request_attributes import Environ, of_environ
from heliograph.integrations.wsgi_span import RequestSpanMiddleware
from heliograph.semconv import HTTP_ROUTE

EXTENSION: Final = "heliograph"
"""The key of the host in `Flask.extensions`."""


def init_app(app: Flask, host: Host, *, request_span: bool = False) -> None:
    """Give events that are tracked in a request the actor ``flask.g.actor``: a mapping, or a function that returns one.

    It is read when an event is created, where no `acting_as` is active. So it may be set at any time before the first event. Parts of
    the application find the host in ``current_app.extensions["heliograph"]``.

    Args:
        app: The application.
        host: The host that its events are tracked on.
        request_span: If True, a request without a recording span gets a SERVER span, which ends when its response was read. Add an
            instrumentation of Flask after this call: otherwise its span is not recording yet, and a request has two spans.

    Raises:
        TypeError: An argument has a wrong type.
    """
    check_argument("app", app, Flask, "a flask.Flask")
    check_argument("host", host, Host, A_HOST)
    check_argument("request_span", request_span, bool, A_FLAG)
    app.extensions[EXTENSION] = host
    default_actor(CURRENT_REQUEST)
    if request_span:
        app.wsgi_app = RequestSpanMiddleware(app.wsgi_app, host.tracer, route_of_environ)  # type: ignore[method-assign]


def route_of_environ(environ: Environ) -> str | None:
    """Return the route of a request, or `None` if Flask has found none."""
    # Other libraries may create a `Request` from the same environment, which then has theirs. So Flask's current one is preferred.
    is_current = has_request_context() and request.environ is environ
    rule = getattr(request if is_current else environ.get("werkzeug.request"), "url_rule", None)
    return None if rule is None else f"{environ.get('SCRIPT_NAME', '')}{rule.rule}"


class CurrentRequest(RequestActor):
    """The current request of Flask. The object has no state: it looks the request up each time."""

    def unknown(self) -> Actor | None:
        """Return ``flask.g.actor``."""
        return actor_in_g()

    def attribute(self, name: str) -> object:
        """Return an attribute of ``flask.request``, or `None` outside of requests."""
        if not has_request_context():
            return None
        return route_of_environ(request.environ) if name == HTTP_ROUTE else of_environ(request.environ, name)


CURRENT_REQUEST: Final = CurrentRequest()
"""One object for all applications, so that `default_actor` has it once, however many there are."""


def actor_in_g() -> Actor | None:
    """Return ``flask.g.actor``, or `None` outside of a request.

    A program may use ``flask.g.actor`` for something else. A value that is not a mapping is ignored.
    """
    actor = g.get("actor") if has_app_context() else None
    # `Mapping` is checked, too, because a `LocalProxy` of a mapping counts as callable, and fails when it is called.
    if callable(actor) and not isinstance(actor, Mapping):
        actor = actor()
    return actor if isinstance(actor, Mapping) else None
