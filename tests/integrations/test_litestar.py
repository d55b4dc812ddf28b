"""Litestar with the ASGI middleware, under a real uvicorn."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backends import free_port
from heliograph import Host, Settings
from integrations.mixed_actors import ACTORS, assert_none_is_mixed
from otlp_receiver import Receiver
from packages import require
from processes import EXAMPLES, Server, otlp, program_environment, serving

SECRET = "the secret of the app"
ROUNDS = 50
"""With four requests in each, these are 200 requests."""
EVENTS = ROUNDS * 5


@pytest.fixture(scope="module")
def tokens() -> list[str]:
    """A token of each actor."""
    with Host(Settings(secret=(SECRET,))) as host:
        return [host.call(host.create_token, f"actor{number}") for number in range(ACTORS)]


def requests_of(server: Server, token: str, name: str) -> list[int]:
    kinds = ("async", "sync", "background", "stream")
    return [server.post(f"/{kind}/{name}-{kind}", token=token).status for kind in kinds]


def test_each_event_has_the_actor_of_its_request(tmp_path: Path, tokens: list[str]) -> None:
    """Async and sync handlers, background tasks and streams track events, which show their routes."""
    require("litestar")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "integrations.litestar_app:app", "--port", str(port)]
    with Receiver() as receiver:
        environment = program_environment(
            **otlp(receiver.endpoint), HELIOGRAPH_SECRET=SECRET, HELIOGRAPH_CONTEXT="http.route,url.path"
        )
        environment["HELIOGRAPH_FLUSH_TIMEOUT_MILLIS"] = "20000"
        environment["PYTHONPATH"] += f":{EXAMPLES}"
        with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path, fresh=False) as server:
            assert server.post("/async/nobody").status == 401
            with ThreadPoolExecutor(ACTORS) as clients:
                answers = clients.map(
                    lambda number: requests_of(server, tokens[number % ACTORS], f"actor{number % ACTORS}-{number}"),
                    range(ROUNDS),
                )
                assert list(answers) == [[200] * 4] * ROUNDS, server.output()
            assert server.stop() in {0, -15}
        logs = receiver.logs()
    assert_none_is_mixed(logs, EVENTS)
    routes = {"/async/{username}", "/sync/{username}", "/background/{username}", "/stream/{username}"}
    assert {log.attributes["http.route"] for log in logs} == routes
