"""Web servers that end: what was answered for arrives, although nobody listened while they ran."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import free_port
from delivery.outboxes import drain
from faults.matrix import Row
from heliograph import Host, Settings
from otlp_receiver import Receiver
from processes import EXAMPLES, Server, clean_environment, datasette, serving

SECRET = "the secret of the examples"
REQUESTS = 30
OUTBOX = {
    "HELIOGRAPH_OUTBOX": "box",
    "HELIOGRAPH_FLUSH_TIMEOUT_MILLIS": "300",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_METRICS_EXPORTER": "none",
    "NO_PROXY": "127.0.0.1",
}
WAYS = pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])


def nobody() -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", **OUTBOX}


def arrived(directory: Path, attribute: str) -> list[str]:
    """What the attribute is of each event that a last drain brings."""
    with Receiver() as receiver:
        assert drain(directory, f"{receiver.endpoint}/v1/logs").exit_code == 0
        uids = [log.attributes["log.record.uid"] for log in receiver.logs()]
        assert len(set(uids)) == len(uids)
        return [json.dumps(log.attributes.get(attribute)) for log in receiver.logs()]


@WAYS
def test_datasette(tmp_path: Path, record_fault: Callable[..., Row], how: signal.Signals) -> None:
    """`datasette serve`, whose SIGTERM is raised again, so that no `atexit` runs."""
    sqlite3.connect(tmp_path / "data.db").execute("create table plants (id integer primary key)").connection.close()
    config = {"permissions": {"insert-row": True, "delete-row": True}}
    (tmp_path / "datasette.json").write_text(json.dumps(config))
    answered = []
    with datasette(tmp_path, "data.db", "--config", "datasette.json", HELIOGRAPH_OPT_IN="*", **nobody()) as server:
        for number in range(REQUESTS):
            assert server.post("/data/plants/-/insert", {"row": {"id": number}}).status == 201
            assert server.post(f"/data/plants/{number}/-/delete").status == 200
            answered.append(json.dumps([str(number)]))
        server.stop(how)
    received = [each for each in arrived(tmp_path / "box", "datasette.delete_row.pks") if each != "null"]
    record_fault(f"datasette serve, {how.name}", acknowledged=answered, received=received)


def ban(server: Server, names: range, token: str) -> list[str]:
    """The users for whom the server said that they are banned."""
    answers = {str(number): server.post(f"/users/{number}/ban", token=token).status for number in names}
    return [json.dumps(name) for name, status in answers.items() if status == 200]


@pytest.fixture(scope="module")
def token() -> str:
    """One that the examples take."""
    with Host(Settings(secret=(SECRET,))) as host:
        return host.call(host.create_token, "root")


@WAYS
def test_uvicorn(tmp_path: Path, record_fault: Callable[..., Row], token: str, how: signal.Signals) -> None:
    """The FastAPI example."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--port", str(port)]
    environment = clean_environment(HELIOGRAPH_SECRET=SECRET, **nobody())
    with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
        answered = ban(server, range(REQUESTS), token)
        server.stop(how)
    received = arrived(tmp_path / "box", "forum.ban_user.user.username")
    assert len(answered) == REQUESTS
    record_fault(f"uvicorn, {how.name}", acknowledged=answered, received=received)


def test_gunicorn(tmp_path: Path, record_fault: Callable[..., Row], token: str) -> None:
    """The Flask example, `--preload`ed: made before the workers are forked, of which one is killed."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(tmp_path), "--pythonpath", str(EXAMPLES), "flask_app:app"]
    environment = clean_environment(HELIOGRAPH_SECRET=SECRET, **nobody())
    with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
        answered = ban(server, range(REQUESTS), token)
        [worker, *_] = re.findall(r"Booting worker with pid: (\d+)", server.said())
        os.kill(int(worker), signal.SIGKILL)
        answered += ban(server, range(REQUESTS, 2 * REQUESTS), token)
        server.stop()
    received = arrived(tmp_path / "box", "forum.ban_user.user.username")
    assert len(answered) == 2 * REQUESTS
    record_fault("gunicorn --preload, a worker killed, SIGTERM", acknowledged=answered, received=received)
