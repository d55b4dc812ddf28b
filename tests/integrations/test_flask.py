"""The actor of a request of Flask, in views, async views and streams: under real servers, and seen by the receiver."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, copy_current_request_context, g, request, stream_with_context
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Request

from backends import free_port, wait_until
from heliograph import Host, Settings, acting_as, ambient_actor, current_actor, keep_context
from heliograph.integrations.flask import CURRENT_REQUEST, init_app
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from integrations.mixed_actors import ACTORS, assert_none_is_mixed
from otlp_receiver import Receiver
from packages import require
from processes import EXAMPLES, Server, otlp, program_environment, serving
from recorder import Telemetry

SECRET = "the secret of the example"
ROUNDS = 67
"""With three requests in each, these are 200 requests."""
EVENTS = ROUNDS * 5
SERVERS = {
    "sync": ["--workers", "2"],
    "gthread": ["--worker-class", "gthread", "--threads", "16"],
    "gevent": ["--worker-class", "gevent"],
}
WITH_PAUSES = """
import time

import forum
from flask import request, stream_with_context
from flask_app import app, host

@app.post("/users/ban/slowly")
def ban_slowly():
    @stream_with_context
    def bans():
        for username in request.args.getlist("username"):
            time.sleep(0.01)
            host.track(forum.BanUserEvent(user={"username": username}))
            yield username

    return bans()
"""


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    """A token of each actor."""
    with Host(Settings(secret=(SECRET,))) as host:
        return {f"actor{n}": host.call(host.create_token, f"actor{n}") for n in range(ACTORS)}


def requests_of(server: Server, tokens: dict[str, str], number: int) -> list[int]:
    """Make a request of each kind as one of the actors, who bans users that have the actor's name and a number."""
    actor = f"actor{number % ACTORS}"
    token, name = tokens[actor], f"{actor}-{number}"
    paths = [
        f"/users/{name}-view/ban",
        f"/users/ban?username={name}-stream-0&username={name}-stream-1",
        f"/users/ban/slowly?username={name}-slow-0&username={name}-slow-1",
    ]
    return [server.post(path, token=token).status for path in paths]


def has_async_views(workers: str) -> bool:
    """Return False for workers of an older gevent, which loses the greenlet that waits for an async view in one of some fifty starts.

    It did so without heliograph, too. gevent 26 did not, in 150 starts.
    """
    return workers != "gevent" or int(version("gevent").split(".")[0]) >= 26


@pytest.mark.parametrize("workers", SERVERS)
def test_each_event_has_the_actor_of_its_request(tmp_path: Path, tokens: dict[str, str], workers: str) -> None:
    """The example runs under gunicorn. Many requests at once, of several actors, never have each other's."""
    require("gunicorn")
    if workers == "gevent":
        require("gevent")
    (tmp_path / "web.py").write_text(WITH_PAUSES)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", *SERVERS[workers], "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(tmp_path), "--pythonpath", str(EXAMPLES), "web:app"]
    with Receiver() as receiver:
        environment = program_environment(**otlp(receiver.endpoint, HELIOGRAPH_SECRET=SECRET))
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path, fresh=False) as server:
            assert server.post("/users/nobody/ban").status == 401
            assert server.post("/users/nobody/ban", token="a-token-of-another-program").status == 401
            with ThreadPoolExecutor(ACTORS) as clients:
                answers = clients.map(lambda number: requests_of(server, tokens, number), range(ROUNDS))
                assert list(answers) == [[200] * 3] * ROUNDS
            # One after the other: greenlets share one running event loop, and asgiref starts no second one.
            in_async_views = tokens if has_async_views(workers) else {}
            for actor, token in in_async_views.items():
                assert server.post(f"/users/{actor}-async/unban", token=token).status == 200
            expected = EVENTS + len(in_async_views)
            wait_until(lambda: len(receiver.logs()) >= expected, timeout_seconds=60)
        logs = receiver.logs()
    assert_none_is_mixed(logs, expected)


@pytest.fixture(autouse=True)
def no_resolver_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves the resolver to the next one, nor the first warning of a kind."""
    monkeypatch.setattr(ambient_actor, "_default_actors", [])
    monkeypatch.setattr(ambient_actor, "failures", LimitedLog(SafeLogger("heliograph")))


@pytest.fixture
def app() -> Flask:
    """An application whose host emits nothing."""
    app = Flask("forum_app", root_path="/")
    init_app(app, Host(Settings()))
    return app


def test_actor_is_read_when_an_event_is_created(app: Flask) -> None:
    """`g.actor` may be set late, may be a function, and is that of one request alone."""

    @app.get("/")
    def view() -> list[object]:
        actors = [current_actor()]
        g.actor = {"id": "mapping"}
        actors.append(current_actor())
        g.actor = lambda: {"id": "function"}
        return [*actors, current_actor()]

    with app.test_client() as client:
        for _ in range(2):
            assert client.get("/").json == [None, {"id": "mapping"}, {"id": "function"}]
    assert current_actor() is None


def test_stream_without_the_context_has_no_actor(app: Flask) -> None:
    """Flask ends the request before it reads the stream."""
    seen: list[object] = []

    @app.get("/<kind>")
    def view(kind: str) -> object:
        g.actor = {"id": kind}

        def rows():
            seen.append(current_actor())
            yield "row"

        return stream_with_context(rows()) if kind == "with" else rows()

    client = app.test_client()
    assert [client.get(path).text for path in ("/with", "/without")] == ["row", "row"]
    assert seen == [{"id": "with"}, None]


@pytest.mark.parametrize("actor", [7, "root", None, object()])
def test_actor_that_is_no_mapping_is_none(app: Flask, actor: object) -> None:
    """A program may have an `actor` of its own in `g`."""
    with app.app_context():
        g.actor = actor
        assert current_actor() is None


def test_proxy_of_an_actor_is_an_actor(app: Flask) -> None:
    """Extensions keep the current user in a `LocalProxy`, which has a method for everything."""
    with app.app_context():
        g.actor = LocalProxy(lambda: {"id": "root"})
        assert current_actor() == {"id": "root"}
        g.actor = LocalProxy(lambda: lambda: {"id": "function"})
        assert current_actor() == {"id": "function"}


def test_thread_of_a_request(app: Flask) -> None:
    """`keep_context` takes the actor along. A context of Flask's own making has another `g`."""
    with app.test_request_context(), ThreadPoolExecutor(1) as executor:
        g.actor = {"id": "root"}
        kept, without = keep_context(current_actor), copy_current_request_context(current_actor)
        assert [executor.submit(each).result() for each in (kept, without)] == [{"id": "root"}, None]


def test_function_that_fails_gives_no_actor(app: Flask, warnings: pytest.LogCaptureFixture) -> None:
    """The request goes on, and one warning reports the failure."""
    with app.app_context():
        g.actor = lambda: 1 / 0
        assert [current_actor(), current_actor()] == [None, None]
    assert len(warnings.records) == 1


def test_block_of_acting_as_decides(app: Flask) -> None:
    """Code that says who acts is right, also in a request."""
    with app.app_context():
        g.actor = {"id": "request"}
        with acting_as({"id": "block"}):
            assert current_actor() == {"id": "block"}
        assert current_actor() == {"id": "request"}


def test_route_where_a_library_reads_the_same_environment(telemetry: Telemetry) -> None:
    """The request of another library replaces the one of Flask in the environment."""
    app = Flask("orders_app", root_path="/")
    init_app(app, telemetry.host(), request_span=True)

    @app.get("/orders/<number>")
    def view(number: str) -> object:
        Request(request.environ)
        return [CURRENT_REQUEST.attribute("http.route")]

    response = app.test_client().get("/orders/7", buffered=True)
    assert response.json == ["/orders/<number>"]
    [span] = telemetry.spans
    assert span.name == "GET /orders/<number>"


def test_status_without_a_number(telemetry: Telemetry) -> None:
    """The response is the one without a span."""
    app = Flask("orders_app", root_path="/")
    init_app(app, telemetry.host(), request_span=True)
    app.add_url_rule("/", view_func=lambda: ("text", "custom status"))

    response = app.test_client().get("/", buffered=True)
    assert (response.text, response.status) == ("text", "0 custom status")
    assert len(telemetry.spans) == 1


def test_extension_is_the_host(app: Flask) -> None:
    """A blueprint finds the host without importing the application. Each application has its own."""
    other = Flask("other_app", root_path="/")
    host = Host(Settings())
    init_app(other, host)
    assert other.extensions["heliograph"] is host
    assert app.extensions["heliograph"] is not host


def test_request_has_attributes_for_events(app: Flask) -> None:
    """Outside of a request, there are none."""
    with app.test_request_context("/", headers={"User-Agent": "a browser"}):
        assert CURRENT_REQUEST.attribute("user_agent.original") == "a browser"
        assert CURRENT_REQUEST.attribute("http.route") is None
    assert CURRENT_REQUEST.attribute("user_agent.original") is None


@pytest.mark.parametrize("wrong", [{"app": None}, {"host": Flask}, {"request_span": "yes"}])
def test_wrong_argument_is_an_error_at_the_start(wrong: dict[str, Any]) -> None:
    """Else each request would be an error."""
    [name] = wrong
    with pytest.raises(TypeError, match=f"the argument `{name}` must be "):
        init_app(**{"app": Flask("app"), "host": Host(Settings()), **wrong})
