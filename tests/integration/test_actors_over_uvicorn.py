"""Events of requests to a real uvicorn have the actor of their request, wherever in the request they are made."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from urllib.parse import urlsplit

import pytest

from backends import LogRecord, free_port
from heliograph import Host, Settings
from otlp_receiver import Receiver
from packages import require
from processes import Server, clean_environment, http_client, otlp, serving

SECRET = "the secret of the apps"
KINDS = ["async", "sync", "background", "stream", "sync-stream"]
EVENTS = {"background": 2, "stream": 3, "sync-stream": 3}
"""The number of events of a request, where it is not 1."""
BY_DEPENDENCY = ["async-dependency", "sync-dependency", "yielding-dependency", "async-yielding-dependency"]
PREFIXES = [*BY_DEPENDENCY, "authenticated", "token"]


def users_of(group: str) -> list[str]:
    return [f"{group}-{number}" for number in range(20)]


def requests_by(prefix: str, users: list[str]) -> list[tuple[str, str]]:
    """Return the paths and users of 200 requests."""
    return [(f"/{prefix}/{KINDS[number % len(KINDS)]}", users[number % len(users)]) for number in range(200)]


GROUPS = {
    **{prefix: requests_by(prefix, users_of(prefix)) for prefix in PREFIXES},
    "nobody": requests_by("authenticated", [user for name in users_of("nobody") for user in (name, "")]),
}
"""Requests that are made at once. Each group has its own users, and only the last one also has requests of nobody."""


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    """A token of each user of the group of tokens."""
    with Host(Settings(secret=(SECRET,))) as host:
        return {user: host.call(host.create_token, user) for user in users_of("token")}


class Running:
    """An app that runs, and the receiver that its telemetry goes to."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self.server = server
        self._receiver = receiver

    def events(self) -> list[LogRecord]:
        """Stop the server, which delivers everything first, and return the events."""
        assert self.server.stop() in {0, -15}, self.server.output()
        assert "Traceback" not in self.server.output()
        return [log for log in self._receiver.logs() if log.event_name == "app.made"]


@contextmanager
def running(tmp_path: Path, app: str, **variables: str) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent), f"actors_app:{app}"]
    command += ["--port", str(port), "--timeout-graceful-shutdown", "30"]
    with Receiver() as receiver:
        environment = clean_environment(
            HELIOGRAPH_SECRET=SECRET,
            HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="20000",
            NO_PROXY="127.0.0.1",
            **otlp(receiver.endpoint),
            **variables,
        )
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
            yield Running(server, receiver)


def headers(prefix: str, user: str, tokens: dict[str, str]) -> dict[str, str]:
    """Return the headers of a request that the user, or nobody, makes."""
    if not user:
        return {}
    if prefix == "token":
        return {"Authorization": f"bearer {tokens[user]}"}
    return {"X-User": user, "X-Session": user} if prefix == "authenticated" else {"X-User": user}


def request_all(url: str, requests: list[tuple[str, str]], tokens: dict[str, str]) -> list[int]:
    """Send requests of users to paths at once, each on its own connection, and return the statuses of the responses."""
    all_connected = Barrier(len(requests))

    def request(path: str, user: str) -> int:
        # An asynchronous client with a pool of 200 connections would need more time than the server.
        with closing(HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
            connection.connect()
            all_connected.wait(60)
            connection.request("GET", path, headers=headers(path.split("/")[1], user, tokens))
            response = connection.getresponse()
            response.read()
            return response.status

    with ThreadPoolExecutor(len(requests)) as clients:
        return list(clients.map(lambda each: request(*each), requests))


def wheres_and_actors(events: list[LogRecord]) -> Counter[tuple[object, object, object]]:
    """Count the places of the events, with the actor that each should have and the one that it has."""
    return Counter(
        (
            event.attributes["app.made.where"],
            event.attributes["app.made.expected"],
            event.attributes.get("user.id", ""),
        )
        for event in events
    )


def expected(requests: list[tuple[str, str]]) -> Counter[tuple[object, object, object]]:
    """Count the events that requests of users to paths should make."""
    counted: Counter[tuple[object, object, object]] = Counter()
    for path, user in requests:
        counted[path, user, user] += EVENTS.get(path.rpartition("/")[2], 1)
        if "yielding" in path:
            counted["end of the dependency", user, user] += 1
    return counted


@dataclass(frozen=True)
class Answered:
    """The statuses of the responses to each group of requests, and the events of all of them."""

    statuses: dict[str, list[int]]
    events: list[LogRecord]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, str]) -> Answered:
    """One group of requests after the other, to one server."""
    with running(tmp_path_factory.mktemp("answered"), "app") as app:
        statuses = {group: request_all(app.server.url, requests, tokens) for group, requests in GROUPS.items()}
        return Answered(statuses, app.events())


@pytest.mark.parametrize("group", GROUPS)
def test_200_requests_at_once_have_their_own_actors(answered: Answered, group: str) -> None:
    """20 actors, in endpoints of every kind, in background tasks and in streams: no event has another request's actor.

    The events of requests of nobody, between those of somebody, have none.
    """
    users = {user for _, user in GROUPS[group]}
    events = [event for event in answered.events if event.attributes["app.made.expected"] in users]

    assert answered.statuses[group] == [200] * 200
    assert wheres_and_actors(events) == expected(GROUPS[group])


def test_200_requests_at_once_without_middleware(tmp_path: Path, tokens: dict[str, str]) -> None:
    """`require_token` with a host needs no middleware."""
    with running(tmp_path, "app_without_middleware") as app:
        statuses = request_all(app.server.url, GROUPS["token"], tokens)
        without = app.server.get("/token/async").status
        events = app.events()

    assert (statuses, without) == ([200] * 200, 401)
    assert wheres_and_actors(events) == expected(GROUPS["token"])


def test_websockets(tmp_path: Path, tokens: dict[str, str]) -> None:
    """Several are open at once, and each has its own actor, in all of its messages."""
    require("websockets")
    from websockets.sync.client import connect  # it may be missing

    cases = [(prefix, user) for prefix in PREFIXES for user in users_of("token")[:2]]
    with running(tmp_path, "app") as app:
        url = app.server.url.replace("http:", "ws:")
        with ExitStack() as stack:
            sockets = [
                stack.enter_context(
                    connect(f"{url}/{prefix}/socket", additional_headers=headers(prefix, user, tokens), proxy=None)
                )
                for prefix, user in cases
            ]
            for _ in range(2):
                for socket in sockets:
                    socket.send("hello")
                assert [socket.recv(timeout=30) for socket in sockets] == ["hello"] * len(sockets)
        events = [event for event in app.events() if event.attributes["app.made.where"] != "end of the dependency"]

    assert wheres_and_actors(events) == Counter({(f"/{prefix}/socket", user, user): 2 for prefix, user in cases})


def test_websockets_that_are_refused(tmp_path: Path) -> None:
    """The middleware answers the handshake of a rejected token; FastAPI closes the websocket that has no token."""
    require("websockets")
    from websockets.exceptions import InvalidStatus  # it may be missing
    from websockets.sync.client import connect

    with running(tmp_path, "app") as app:
        url = app.server.url.replace("http:", "ws:") + "/token/socket"
        statuses = []
        for sent in ({"Authorization": "Bearer dstok_forged"}, {}):
            with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=sent, proxy=None):
                pass
            statuses.append(refused.value.response.status_code)
        events = app.events()

    assert statuses == [401, 403]
    assert events == []


def test_requests_of_nobody_and_of_users_that_cannot_be_read(tmp_path: Path) -> None:
    """Such requests are the same without heliograph, and their events have no actor, also after a request of somebody."""
    with running(tmp_path, "app") as app:
        sessions = ({"X-Session": "a", "X-User": "a"}, {}, {"X-Session": "deleted"}, {"X-Session": "broken"})
        with http_client(app.server.url) as client:
            get = [client.get("/authenticated/async", headers=sent).status_code for sent in sessions]
        assert app.server.stop() in {0, -15}
        output = app.server.output()
        events = app._receiver.logs()

    assert get == [200, 200, 200, 500]
    assert [event.attributes.get("user.id", "") for event in events if event.event_name == "app.made"] == ["a", "", ""]
    assert output.count("so events have no actor") == 1
    assert "RuntimeError: the session store is down" in output


def test_traceparent_of_an_outsider(tmp_path: Path) -> None:
    """FastAPI's own spans are sampled as it says, but it cannot switch our events off."""
    with running(tmp_path, "app", OTEL_TRACES_SAMPLER="parentbased_always_on") as app:
        with http_client(app.server.url) as client:
            for flags in ("00", "01"):
                sent = {"traceparent": f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}", "X-User": "a"}
                assert client.get("/async-dependency/async", headers=sent).status_code == 200
        events = app.events()

    assert [event.attributes["user.id"] for event in events] == ["a", "a"]
