"""Web servers that end: events of successful requests arrive, although no server for telemetry was up while they ran."""

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

from backends import free_port, wait_until
from delivery.outboxes import drain
from faults.matrix import Row
from faults.programs import process_exists
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


def unreachable_server() -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}", **OUTBOX}


def drained_attribute(directory: Path, attribute: str) -> list[str]:
    """Drain the outbox, and return the attribute of each event, as JSON."""
    with Receiver() as receiver:
        assert drain(directory, f"{receiver.endpoint}/v1/logs").exit_code == 0
        uids = [log.attributes["log.record.uid"] for log in receiver.logs()]
        assert len(set(uids)) == len(uids)
        return [json.dumps(log.attributes.get(attribute)) for log in receiver.logs()]


@WAYS
def test_datasette(tmp_path: Path, record_fault: Callable[..., Row], how: signal.Signals) -> None:
    """The events of all successful requests arrive. After its shutdown the server raises SIGTERM again, so no `atexit` runs."""
    sqlite3.connect(tmp_path / "data.db").execute("create table plants (id integer primary key)").connection.close()
    config = {"permissions": {"insert-row": True, "delete-row": True}}
    (tmp_path / "datasette.json").write_text(json.dumps(config))
    answered = []
    with datasette(
        tmp_path, "data.db", "--config", "datasette.json", HELIOGRAPH_OPT_IN="*", **unreachable_server()
    ) as server:
        for number in range(REQUESTS):
            assert server.post("/data/plants/-/insert", {"row": {"id": number}}).status == 201
            assert server.post(f"/data/plants/{number}/-/delete").status == 200
            answered.append(json.dumps([str(number)]))
        server.stop(how)
    received = [each for each in drained_attribute(tmp_path / "box", "datasette.delete_row.pks") if each != "null"]
    record_fault(f"datasette serve, {how.name}", acknowledged=answered, received=received)


def ban(server: Server, names: range, token: str) -> list[str]:
    """Ban users, and return the names of those for which the server reported success, as JSON."""
    answers = {str(number): server.post(f"/users/{number}/ban", token=token).status for number in names}
    return [json.dumps(name) for name, status in answers.items() if status == 200]


@pytest.fixture(scope="module")
def token() -> str:
    """Return a token that the examples accept."""
    with Host(Settings(secret=(SECRET,))) as host:
        return host.call(host.create_token, "root")


@WAYS
def test_uvicorn(tmp_path: Path, record_fault: Callable[..., Row], token: str, how: signal.Signals) -> None:
    """The events of all successful requests to the FastAPI example arrive."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "fastapi_app:app", "--port", str(port)]
    environment = clean_environment(HELIOGRAPH_SECRET=SECRET, **unreachable_server())
    with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
        answered = ban(server, range(REQUESTS), token)
        server.stop(how)
    received = drained_attribute(tmp_path / "box", "forum.ban_user.user.username")
    assert len(answered) == REQUESTS
    record_fault(f"uvicorn, {how.name}", acknowledged=answered, received=received)


def test_gunicorn(tmp_path: Path, record_fault: Callable[..., Row], token: str) -> None:
    """The Flask example runs with `--preload`: its host is created before the workers are forked. One worker is killed."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    command += ["--chdir", str(tmp_path), "--pythonpath", str(EXAMPLES), "flask_app:app"]
    # A worker that is just being forked misses SIGTERM: gunicorn kills it after this time, and by default after 30 seconds.
    command += ["--graceful-timeout", "3"]
    environment = clean_environment(HELIOGRAPH_SECRET=SECRET, **unreachable_server())
    with serving(command, port=port, log=tmp_path / "log", env=environment, cwd=tmp_path) as server:
        answered = ban(server, range(REQUESTS), token)
        [worker, *_] = re.findall(r"Booting worker with pid: (\d+)", server.output())
        os.kill(int(worker), signal.SIGKILL)
        # Until gunicorn has noticed: a dying process may still accept a connection.
        wait_until(lambda: not process_exists(int(worker)), timeout_seconds=60)
        answered += ban(server, range(REQUESTS, 2 * REQUESTS), token)
        server.stop()
    received = drained_attribute(tmp_path / "box", "forum.ban_user.user.username")
    assert len(answered) == 2 * REQUESTS
    record_fault("gunicorn --preload, a worker killed, SIGTERM", acknowledged=answered, received=received)
