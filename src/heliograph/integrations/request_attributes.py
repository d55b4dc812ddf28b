"""Read the attributes of a request, by their names in OpenTelemetry's semantic conventions, from an ASGI scope or a WSGI environment.

The client's address is the address of the connection. No header such as ``X-Forwarded-For`` is read, because any client can send it. A server
that trusts its proxy replaces the address of the connection by the one in that header, and then this one is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from heliograph import semconv
from heliograph.integrations.asgi_types import Scope

Environ = Mapping[str, Any]
"""The environment of a request, by PEP 3333 (WSGI)."""


def of_scope(scope: Scope, name: str) -> object:
    """Return an attribute of a connection of ASGI, or `None` if the scope does not have it."""
    read = _OF_SCOPE.get(name)
    return None if read is None else read(scope)


def of_environ(environ: Environ, name: str) -> object:
    """Return an attribute of a request of WSGI, or `None` if the environment does not have it. It never has the route."""
    read = _OF_ENVIRON.get(name)
    return None if read is None else read(environ)


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of a connection that has this name, in lower case."""
    return next(_headers(scope, name), None)


def only_header(scope: Scope, name: bytes) -> str | None:
    """Return the header of a connection that has this name, in lower case, or `None` if there are several."""
    values = list(_headers(scope, name))
    return values[0] if len(values) == 1 else None


def _headers(scope: Scope, name: bytes) -> Iterator[str]:
    # The specification of ASGI requires names in lower case, but not all servers send them so.
    return (str(value, "latin-1") for key, value in scope.get("headers", ()) if key.lower() == name)


def _client(scope: Scope) -> object:
    # A host and a port. A server on a Unix socket has none.
    client = scope.get("client")
    return client[0] if isinstance(client, (tuple, list)) and client else None


def _route(scope: Scope) -> str | None:
    """Return the route that the application has put into the scope: Starlette and FastAPI an object, Litestar text."""
    template = scope.get("path_template")
    if isinstance(template, str):
        return template
    route = scope.get("route")
    # A mount is not the whole route: the routing inside of it has not run yet, or its application has no routes.
    if hasattr(route, "routes"):
        return None
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if not isinstance(path, str) or not _knows_all_parameters(scope, route):
        return None
    return f"{scope.get('root_path', '')}{path}"


def _knows_all_parameters(scope: Scope, route: object) -> bool:
    """Return False if a mount around the route has parameters. Then the prefix in ``root_path`` contains their values."""
    return set(scope.get("path_params") or ()) <= set(getattr(route, "param_convertors", ()))


def _path_of_environ(environ: Environ) -> str:
    raw = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
    # PEP 3333: texts are bytes, decoded as Latin-1.
    return raw.encode("latin-1", "replace").decode(errors="replace")


_OF_SCOPE: Final[Mapping[str, Callable[[Scope], object]]] = {
    semconv.CLIENT_ADDRESS: _client,
    semconv.HTTP_REQUEST_METHOD: lambda scope: scope.get("method"),
    semconv.HTTP_ROUTE: _route,
    semconv.URL_PATH: lambda scope: scope.get("path"),
    semconv.URL_SCHEME: lambda scope: scope.get("scheme"),
    semconv.USER_AGENT_ORIGINAL: lambda scope: header(scope, b"user-agent"),
}
_OF_ENVIRON: Final[Mapping[str, Callable[[Environ], object]]] = {
    semconv.CLIENT_ADDRESS: lambda environ: environ.get("REMOTE_ADDR"),
    semconv.HTTP_REQUEST_METHOD: lambda environ: environ.get("REQUEST_METHOD"),
    semconv.URL_PATH: _path_of_environ,
    semconv.URL_SCHEME: lambda environ: environ.get("wsgi.url_scheme"),
    semconv.USER_AGENT_ORIGINAL: lambda environ: environ.get("HTTP_USER_AGENT"),
}
