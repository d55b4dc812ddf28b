"""The programs of the example run without containers, with the commands and the files that the containers have."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends import free_port, wait_until
from backends.program import CONFIG
from otlp_receiver import Receiver
from processes import REPOSITORY, Server, clean_environment, otlp, run, serving
from stack.compose import services

DOCKERFILE = (CONFIG / "example" / "Dockerfile").read_text()
IGNORED = CONFIG / "example" / "Dockerfile.dockerignore"
SECRET = "the secret of the example"
DATA = "/var/lib/example"
SECONDS = 120.0


def copied() -> list[str]:
    """Return the files and folders that the Dockerfile copies, without where to."""
    return [source for line in re.findall(r"^COPY (.*)", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]]


@pytest.fixture
def srv(tmp_path: Path) -> Path:
    """Return a folder with the files that the image has in its own."""
    folder = tmp_path / "srv"
    folder.mkdir()
    for source in copied():
        if (REPOSITORY / source).suffix in {".py", ".yaml"}:
            shutil.copy(REPOSITORY / source, folder)
    return folder


def command(service: str, data: Path, port: int = 0) -> list[str]:
    """Return the command of a service, which listens on a port of 127.0.0.1, with a directory for its data."""
    program, *arguments = services()[service]["command"]
    replaced = [argument.replace("0.0.0.0", "127.0.0.1").replace(DATA, str(data)) for argument in arguments]
    module = [] if program == "python" else ["-m", program]
    return [sys.executable, *module, *(re.sub("--port=.*", f"--port={port}", argument) for argument in replaced)]


@contextmanager
def running(service: str, srv: Path, receiver: Receiver) -> Iterator[Server]:
    port = free_port()
    data = srv / service
    data.mkdir()
    with serving(
        command(service, data, port), port=port, log=srv / f"{service}.log", env=environment(service, receiver), cwd=srv
    ) as server:
        yield server
        assert "Traceback" not in server.output()


def environment(service: str, receiver: Receiver, **variables: str) -> dict[str, str]:
    secrets = {"HELIOGRAPH_SECRET": SECRET, "DATASETTE_SECRET": SECRET}
    telemetry = otlp(receiver.endpoint, OTEL_SERVICE_NAME=services()[service]["environment"]["OTEL_SERVICE_NAME"])
    return clean_environment(
        NO_PROXY="127.0.0.1", DATASETTE_LOAD_PLUGINS="heliograph", **secrets, **telemetry, **variables
    )


def test_each_copied_file_exists_and_reaches_docker() -> None:
    """The build does not fail because of a file that was renamed or ignored."""
    wanted = {line[1:] for line in IGNORED.read_text().splitlines() if line.startswith("!")}

    for source in copied():
        assert (REPOSITORY / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in wanted), source


def test_a_visit_is_a_trace_through_all_services(srv: Path) -> None:
    """Bans, rows and a rejected token arrive as events, with the visitor as their actor."""
    with (
        Receiver() as receiver,
        running("forum", srv, receiver) as forum,
        running("datasette", srv, receiver) as datasette,
    ):
        variables = environment("visitor", receiver, FORUM_URL=forum.url, DATASETTE_URL=datasette.url)
        visited = run([*command("visitor", srv), "2", "0"], cwd=srv, env=variables)

        assert (visited.returncode, visited.stdout) == (0, "200 200 201 401\n" * 2), visited.stderr
        names = {
            "forum.ban_user": 2,
            "forum.unban_user": 2,
            "datasette.create_table": 1,
            "datasette.insert_rows": 2,
        }
        found = wait_until(
            lambda: events if len(events := [log for log in receiver.logs() if log.event_name in names]) >= 7 else None,
            timeout_seconds=SECONDS,
        )
        assert {name: [event.event_name for event in found].count(name) for name in names} == names
        assert {event.attributes["user.id"] for event in found} == {"visitor"}
        assert len({event.trace_id for event in found}) == 2
        for path, server in (("/openapi.json", forum), ("/-/versions.json", datasette)):
            assert path in str(services()[server.log.stem]["healthcheck"])
            assert server.get(path).status == 200
