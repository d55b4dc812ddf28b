"""Under the real servers, events have the attributes of their request that `HELIOGRAPH_CONTEXT` names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backends import free_port, wait_until
from heliograph import Host, Settings
from otlp_receiver import Receiver
from packages import require
from processes import EXAMPLES, datasette, http_client, otlp, program_environment, serving

SECRET = "the secret of the examples"
CONTEXT = "client.address,user_agent.original,http.route,url.path,http.request.method"
UVICORN = ["uvicorn", "--app-dir", str(EXAMPLES), "--host", "127.0.0.1"]
GUNICORN = ["gunicorn", "--pythonpath", str(EXAMPLES), "--bind"]

SERVERS = {
    "starlette_app": ([*UVICORN, "--no-proxy-headers", "starlette_app:app", "--port"], "/users/{username}/ban"),
    "fastapi_app": ([*UVICORN, "--no-proxy-headers", "fastapi_app:app", "--port"], "/users/{username}/ban"),
    "flask_app": ([*GUNICORN, "127.0.0.1:{port}", "flask_app:app"], "/users/<username>/ban"),
    "django, WSGI": ([*GUNICORN, "127.0.0.1:{port}", "django_app:application"], "/users/<username>/ban"),
    "django, ASGI": (
        [*UVICORN, "--no-proxy-headers", "django_app:asgi_application", "--port"],
        "/users/<username>/ban",
    ),
    "behind a proxy": ([*UVICORN, "starlette_app:app", "--port"], "/users/{username}/ban"),
}


def expected(route: str, path: str, address: str = "127.0.0.1") -> dict[str, object]:
    return {
        "client.address": address,
        "user_agent.original": "a browser",
        "http.route": route,
        "url.path": path,
        "http.request.method": "POST",
    }


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "User-Agent": "a browser", "X-Forwarded-For": "203.0.113.9"}


def context_of(attributes: object) -> dict[str, object]:
    """Return the attributes of the request among those of an event."""
    return {name: value for name, value in dict(attributes).items() if name in CONTEXT.split(",")}  # type: ignore[call-overload]


@pytest.mark.parametrize("server", SERVERS)
def test_event_shows_its_request(tmp_path: Path, server: str) -> None:
    """The address is the one of the connection. Only a server that trusts its proxy puts another one in its place."""
    require(server.partition("_")[0].partition(",")[0] if "app" in server or "django" in server else "starlette")
    port = free_port()
    command, route = SERVERS[server]
    command = [sys.executable, "-m", *(part.format(port=port) for part in command)]
    command += [str(port)] if command[-1] == "--port" else []
    with Host(Settings(secret=(SECRET,))) as host:
        token = host.call(host.create_token, "root")
    with Receiver() as receiver:
        environment = program_environment(
            **otlp(receiver.endpoint),
            HELIOGRAPH_SECRET=SECRET,
            HELIOGRAPH_CONTEXT=CONTEXT,
            FORUM_DATABASE=str(tmp_path / "forum.db"),
        )
        environment["PYTHONPATH"] += f":{EXAMPLES}"
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path, fresh=False) as process:
            with http_client(process.url) as client:
                answer = client.post("/users/dstok_secret/ban?key=secret", headers=headers(token))
            assert answer.status_code == 200, process.output()
            wait_until(lambda: any(log.event_name == "forum.ban_user" for log in receiver.logs()), timeout_seconds=30)
        [event] = [log for log in receiver.logs() if log.event_name == "forum.ban_user"]
    address = "203.0.113.9" if server == "behind a proxy" else "127.0.0.1"
    assert context_of(event.attributes) == expected(route, "/users/<masked>/ban", address)


def test_rejected_token_shows_its_request(tmp_path: Path) -> None:
    """The middleware verifies the token before the application has a route."""
    with Host(Settings(secret=("another",))) as forger:
        token = forger.call(forger.create_token, "root")
    port = free_port()
    command = [sys.executable, "-m", *SERVERS["starlette_app"][0], str(port)]
    with Receiver() as receiver:
        environment = program_environment(
            **otlp(receiver.endpoint), HELIOGRAPH_SECRET=SECRET, HELIOGRAPH_CONTEXT=CONTEXT
        )
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path, fresh=False) as process:
            with http_client(process.url) as client:
                answer = client.post("/users/a/ban", headers=headers(token))
            assert answer.status_code == 401
            wait_until(receiver.logs, timeout_seconds=30)
        [event] = receiver.logs()
    assert event.event_name == "heliograph.token_rejected"
    assert context_of(event.attributes) == {
        name: value for name, value in expected("", "/users/a/ban").items() if name != "http.route"
    }


def test_datasette(tmp_path: Path) -> None:
    """The route is the one of Datasette's own spans. Here it is behind a prefix, and no span records."""
    config = "settings:\n  base_url: /prefix/\npermissions:\n  create-table: true\n  insert-row: true\n"
    (tmp_path / "datasette.yaml").write_text(config)
    database = str(tmp_path / "data.db")
    arguments = ("--create", database, "-c", str(tmp_path / "datasette.yaml"))
    with Receiver() as receiver:
        variables = {**otlp(receiver.endpoint), "HELIOGRAPH_CONTEXT": CONTEXT, "NO_PROXY": "127.0.0.1"}
        variables["OTEL_TRACES_SAMPLER"] = "always_off"
        with datasette(tmp_path, *arguments, **variables) as server:
            with http_client(server.url) as client:
                answer = client.post(
                    "/prefix/data/-/create",
                    json={"table": "t", "row": {"id": 1}},
                    headers={"User-Agent": "a browser"},
                )
            assert answer.status_code == 201, answer.text
            wait_until(lambda: any(log.event_name == "datasette.create_table" for log in receiver.logs()))
        [event] = [log for log in receiver.logs() if log.event_name == "datasette.create_table"]
    assert context_of(event.attributes) == expected(r"/(?P<database>[^\/\.]+)/-/create$", "/prefix/data/-/create")
