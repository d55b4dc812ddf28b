"""The attributes of a request are read from what a server hands to an application."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from heliograph.integrations.request_attributes import of_environ, of_scope

ROUTE = SimpleNamespace(path="/orders/{id}", param_convertors={"id": object()})


def test_scope() -> None:
    """Names of headers are compared without case, and the first header counts."""
    scope = {
        "client": ("192.0.2.1", 7),
        "method": "GET",
        "path": "/orders/ä",
        "query_string": b"token=secret",
        "headers": [(b"X-Forwarded-For", b"203.0.113.9"), (b"User-Agent", b"a\xe4"), (b"user-agent", b"b")],
    }
    names = ("client.address", "http.request.method", "url.path", "user_agent.original", "http.route", "url.query")
    assert [of_scope(scope, name) for name in names] == ["192.0.2.1", "GET", "/orders/ä", "aä", None, None]


@pytest.mark.parametrize("scope", [{}, {"client": None}, {"client": ()}, {"client": "a"}])
def test_scope_without_values(scope: dict[str, Any]) -> None:
    """A server on a Unix socket knows no client."""
    for name in ("client.address", "http.request.method", "url.path", "user_agent.original", "http.route"):
        assert of_scope(scope, name) is None


@pytest.mark.parametrize(
    ("scope", "route"),
    [
        ({"route": ROUTE, "path_params": {"id": "7"}}, "/orders/{id}"),
        ({"route": ROUTE, "root_path": "/api", "path_params": {"id": "7"}}, "/api/orders/{id}"),
        ({"route": ROUTE, "root_path": "/of-a-customer", "path_params": {"customer": "c", "id": "7"}}, None),
        ({"route": SimpleNamespace(path="/{x:int}", path_format="/{x}", param_convertors={"x": 1})}, "/{x}"),
        ({"route": SimpleNamespace(path=7)}, None),
        ({"route": SimpleNamespace(path="/files", routes=[])}, None),
        ({"path_template": "/of/{litestar}", "route": 7}, "/of/{litestar}"),
    ],
)
def test_route_of_a_scope(scope: dict[str, Any], route: str | None) -> None:
    """A mount with parameters has data in `root_path`, so that there is no route. A mount alone is no route either."""
    assert of_scope(scope, "http.route") == route


def test_environ() -> None:
    """The path is decoded, and has the prefix of the application."""
    environ = {
        "REMOTE_ADDR": "192.0.2.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/caf\xc3\xa9/\xff",
        "QUERY_STRING": "token=secret",
        "HTTP_USER_AGENT": "curl",
        "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    }
    names = ("client.address", "http.request.method", "url.path", "user_agent.original", "http.route")
    assert [of_environ(environ, name) for name in names] == ["192.0.2.1", "POST", "/shop/café/\ufffd", "curl", None]
    assert [of_environ({}, name) for name in names] == [None, None, "", None, None]
