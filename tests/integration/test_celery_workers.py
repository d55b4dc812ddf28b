"""Workers of Celery with pools of every kind: each event has the actor who sent its task."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backends import LogRecord, free_port, wait_until
from celery_loader import FILE_BROKER
from heliograph import Host, Settings
from integrations.celery_workers import (
    SECRET,
    TIMEOUT_SECONDS,
    assert_each_task_has_its_sender,
    send_tasks,
    worker_command,
    working,
)
from otlp_receiver import Receiver
from processes import EXAMPLES, Server, otlp, program_environment, serving

POOLS = ["solo", "prefork", "threads", "gevent", "eventlet"]
EXAMPLE_ACTORS = [f"actor{number}" for number in range(20)]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an application and with tasks that wait. The worker of each test has a copy of it."""
    directory = tmp_path_factory.mktemp("sent")
    send_tasks(directory)
    return directory


@pytest.mark.parametrize("pool", [pool for pool in POOLS if pool != "prefork"])
def test_tasks_of_every_kind_have_their_sender(tmp_path: Path, sent: Path, pool: str) -> None:
    """Each pool is tried but Celery's default, which the tests of the integration use."""
    shutil.copytree(sent, tmp_path, dirs_exist_ok=True)
    assert_each_task_has_its_sender(tmp_path, pool)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the tasks that requests of 20 actors to the web app of the example have sent."""
    directory = tmp_path_factory.mktemp("asked")
    with Host(Settings(secret=(SECRET,))) as host:
        tokens = {actor: host.call(host.create_token, actor) for actor in EXAMPLE_ACTORS}
    port = free_port()
    web = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "celery_app:web", "--port", str(port)]
    with Receiver() as receiver:
        environment = example_environment(directory / "queue", **otlp(receiver.endpoint))
        with serving(web, port=port, log=directory / "log", env=environment, cwd=directory) as server:
            # Kombu creates the file of the bindings in two steps, so the first task is sent alone.
            assert requests_of(server, tokens, 0) == [200] * 3
            with ThreadPoolExecutor(20) as clients:
                answers = list(clients.map(lambda number: requests_of(server, tokens, number), range(1, 67)))
            assert answers == [[200] * 3] * 66
            assert server.post("/users/nobody/ban").status == 401
            server.stop()
        assert events_of(receiver) == []
    return directory / "queue"


def example_environment(queue: Path, **variables: str) -> dict[str, str]:
    return program_environment(HELIOGRAPH_SECRET=SECRET, FORUM_QUEUE=str(queue), **FILE_BROKER, **variables)


@pytest.mark.parametrize("pool", POOLS)
def test_200_tasks_of_20_actors_of_the_example(tmp_path: Path, asked: Path, pool: str) -> None:
    """Requests to a web app send tasks, and the receiver sees the owner of the token of each: never another task's."""
    queue = shutil.copytree(asked, tmp_path / "queue")
    with Receiver() as receiver:
        environment = example_environment(queue, **otlp(receiver.endpoint, OTEL_METRICS_EXPORTER="none"))
        with working(worker_command("celery_app", pool, "--workdir", str(EXAMPLES)), tmp_path, environment):
            wait_until(lambda: len(events_of(receiver)) >= 67 * 4, timeout_seconds=TIMEOUT_SECONDS)
        events = events_of(receiver)
    assert not (EXAMPLES / "control").exists()
    owners = [(str(log.attributes[f"{log.event_name}.user.username"]), log.attributes.get("user.id")) for log in events]
    assert len(owners) == 67 * 4
    assert [each for each in owners if each[1] != (each[0].partition("-")[0] or None)] == []
    assert {owner for _, owner in owners} == {None, *EXAMPLE_ACTORS}


def requests_of(server: Server, tokens: dict[str, str], number: int) -> list[int]:
    """Make requests as one of the actors, and one as nobody, about users whose names begin with the actor's."""
    actor = f"actor{number % len(tokens)}"
    answers = [
        server.post(f"/users/{actor}-{number}/ban", token=tokens[actor]),
        server.post(f"/users/{actor}-{number}/suspend", token=tokens[actor]),
        server.post(f"/users/-{number}/unban"),
    ]
    return [answer.status for answer in answers]


def events_of(receiver: Receiver) -> list[LogRecord]:
    return [log for log in receiver.logs() if str(log.event_name).startswith("forum.")]
