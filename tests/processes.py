"""Run programs under test as separate processes: start them, send them HTTP requests, stop them by a signal."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

import forked
from backends import REPOSITORY, free_port, wait_until

EXAMPLES = REPOSITORY / "examples"
EXIT_TIMEOUT_SECONDS = 120.0

WITHOUT_OPTIONAL_PACKAGES = f"import sys; sys.modules |= dict.fromkeys({forked.OPTIONAL_PACKAGES})\n"
"""The begin of a program with Datasette, which imports these where they are installed. That takes a third of its start."""
DATASETTE = (sys.executable, "-c", WITHOUT_OPTIONAL_PACKAGES + "from datasette.cli import cli; cli()")
"""The command of Datasette."""

_http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def http_client(url: str = "") -> httpx.Client:
    """Return a client of servers on this machine. It reads no certificates, which would take longer than many requests."""
    return httpx.Client(base_url=url, trust_env=False, verify=False, timeout=60)


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment of this process without variables that configure telemetry or Datasette, and with the given ones."""
    ours = ("OTEL_", "HELIOGRAPH_", "DATASETTE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


def program_environment(**variables: str) -> dict[str, str]:
    """Return a clean environment for programs that import the modules that the tests share."""
    return clean_environment(PYTHONPATH=str(REPOSITORY / "tests"), NO_PROXY="127.0.0.1", **variables)


def otlp(endpoint: str, **variables: str) -> dict[str, str]:
    """Return variables that export telemetry to an endpoint every 200 ms, and the given ones."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        **variables,
    }


@dataclass(frozen=True)
class Answer:
    """A response to an HTTP request."""

    status: int
    body: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP on `url`. The file `log` has its standard output and error."""

    url: str
    log: Path
    process: subprocess.Popen[bytes] | forked.Process

    def request(self, method: str, path: str, body: object = None, token: str | None = None) -> Answer:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with _http.open(request, timeout=EXIT_TIMEOUT_SECONDS) as response:
                return Answer(response.status, response.read().decode(), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode(), dict(error.headers))

    def get(self, path: str, token: str | None = None) -> Answer:
        return self.request("GET", path, token=token)

    def post(self, path: str, body: object = None, token: str | None = None) -> Answer:
        return self.request("POST", path, {} if body is None else body, token)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send the process a signal, wait until it has ended, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(EXIT_TIMEOUT_SECONDS)

    def output(self) -> str:
        """Return what the process has printed so far, to standard output and error."""
        return self.log.read_text(errors="replace")


def start(
    command: list[str], *, env: Mapping[str, str], cwd: Path, stdout: IO[bytes], stderr: IO[bytes], fresh: bool
) -> subprocess.Popen[bytes] | forked.Process:
    """Start a Python program without input: in a fresh interpreter, or forked, with heliograph imported."""
    if fresh:
        return subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    return forked.Process(command, env=env, cwd=cwd, stdout=stdout, stderr=stderr)


@contextmanager
def serving(
    command: list[str], *, port: int, log: Path, env: Mapping[str, str], cwd: Path, fresh: bool = True
) -> Iterator[Server]:
    """Run a server that listens on the port, until the block ends. See `start` for `fresh`."""
    with log.open("wb") as stream:
        process = start(command, env=env, cwd=cwd, stdout=stream, stderr=stream, fresh=fresh)
    server = Server(f"http://127.0.0.1:{port}", log, process)

    def is_ready() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"{command} ended with {process.returncode}:\n{server.output()}")
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(is_ready, timeout_seconds=EXIT_TIMEOUT_SECONDS)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def datasette(
    directory: Path,
    *arguments: str,
    plugins: str = "heliograph",
    secret: str = "secret",
    fresh: bool = False,
    **variables: str,
) -> Iterator[Server]:
    """Run `datasette serve` in the directory, with the given installed plugins and no others.

    It is forked, with heliograph imported, unless it needs a fresh interpreter.
    """
    port = free_port()
    command = [*DATASETTE, "serve", "--port", str(port), "--secret", secret, *arguments]
    environment = clean_environment(DATASETTE_LOAD_PLUGINS=plugins, **variables)
    log = directory / "datasette.log"
    with serving(command, port=port, log=log, env=environment, cwd=directory, fresh=fresh) as server:
        yield server


def run(
    command: list[str], *, cwd: Path, env: Mapping[str, str], timeout_seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, and return it with its output."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )


def in_child(function: Callable[[], object]) -> int:
    """Run the function in a forked child, and return the exit status: 1 if it raised.

    The child ends by `os._exit`, so no exit function of the interpreter runs. A child that hangs prints the stacks of its
    threads after two minutes, and ends by SIGALRM. One that hangs in a callback of the fork, before that, is killed.

    Raises:
        TimeoutError: The child had to be killed.
    """
    pid = os.fork()
    if not pid:
        gc.freeze()  # a collection would copy all memory of the tests, which takes a second after some thousand of them
        faulthandler.register(signal.SIGALRM, file=sys.__stderr__, all_threads=True, chain=True)
        signal.alarm(120)
        try:
            function()
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    try:
        _, status = wait_until(lambda: _ended(pid), timeout_seconds=2 * EXIT_TIMEOUT_SECONDS, interval_seconds=0.001)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return os.waitstatus_to_exitcode(status)


def _ended(pid: int) -> tuple[int, int] | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return (found, status) if found else None
