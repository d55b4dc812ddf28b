"""Run Python programs in processes that are forked from one that has imported what most of them import.

The imports take longer than most of the programs run. A process that is forked has one thread, an environment, files and a folder of
its own, and ends as any other does. Programs that test an import, flags of the interpreter or its variables `PYTHON…` need a new
interpreter, which `processes.run` starts.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

NOTHING = Path(os.devnull)
OPTIONAL_PACKAGES = ("numpy", "pandas", "rich")
"""Packages that Datasette and `sqlite_utils` import where they are installed, which takes longer than all others."""
IMPORTED = (
    # Datasette's own modules are not imported: they read the environment, and load plugins.
    "aiofiles",
    "anyio.to_thread",
    "asyncinject",
    "httpx2",
    "jinja2",
    "pdb",
    "pydantic.dataclasses",
    "pydantic.main",
    "requests",
    "sqlite_utils",
    "uvicorn",
    "heliograph",
    "heliograph.cli.main",
    "heliograph.sdk",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._logs.export",
    "opentelemetry.sdk.metrics.export",
    "opentelemetry.sdk.trace.export",
)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: Path = NOTHING,
    timeout_seconds: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command `python -c …` or `python -m …` to its end, and return it with its output.

    Raises:
        subprocess.TimeoutExpired: It had to be killed.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = Process(command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)
        try:
            status = process.wait(timeout_seconds)
        finally:
            process.kill()
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(command, status, stdout.read().decode(), stderr.read().decode())


class Process:
    """A program that is forked. It has the attributes and methods of `subprocess.Popen` that tests need.

    Attributes:
        args: The command, `python -c …` or `python -m …`.
        pid: The process id.
        returncode: The exit status, or None if it runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: Path = NOTHING,
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> None:
        assert command[0] == sys.executable
        assert command[1] in {"-c", "-m"}
        assert not {"PYTHONIOENCODING", "PYTHONWARNINGS"} & env.keys(), "a new interpreter has to read them"
        self.args = command
        self.returncode: int | None = None
        request = {"arguments": command[1:], "cwd": str(cwd), "env": dict(env)}
        read, write = os.pipe()
        self._lines = os.fdopen(read, "rb", buffering=0)
        with os.fdopen(write, "wb") as status, stdin.open("rb") as opened:
            _server().send(request, [each.fileno() for each in (status, opened, stdout, stderr)])
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        """Return the exit status, or None if the program runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, as soon as the program has ended.

        Raises:
            subprocess.TimeoutExpired: It still runs after these seconds.
        """
        if self.returncode is None:
            if not select.select([self._lines], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self.returncode = int(self._lines.readline())
            self._lines.close()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the program, unless it has ended."""
        self.send_signal(signal.SIGKILL)


class _Server:
    """The process that forks, as its only client sees it. The lock guards the connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._connection, other = socket.socketpair()
        with other:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(other.fileno())],
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )
        atexit.register(self._end)

    def send(self, request: dict[str, Any], files: list[int]) -> None:
        """Start a program: its arguments, folder and environment. It is answered in the first of the files."""
        with self._lock:
            socket.send_fds(self._connection, [json.dumps(request).encode() + b"\n"], files)

    def _end(self) -> None:
        if os.getpid() == self._pid:
            self._connection.shutdown(socket.SHUT_RDWR)  # a child of this process may have it, too
            self._connection.close()
            self._process.wait()


@cache
def _server() -> _Server:
    return _Server()


def _serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each request, which is returned in that process. Return None at the end.

    A process between the two waits for the program, and writes its id and then its exit status into the first file of the request.
    """
    while True:
        received, files, _, _ = socket.recv_fds(connection, 1 << 16, 4)
        _wait_for_those_that_ended()
        if not received:
            return None
        while not received.endswith(b"\n"):
            received += connection.recv(1 << 16)
        if not os.fork():
            connection.close()
            status, *streams = files
            pid = os.fork()
            if not pid:
                os.close(status)
                for descriptor, stream in enumerate(streams):
                    os.dup2(stream, descriptor)
                    os.close(stream)
                return json.loads(received)
            os.write(status, f"{pid}\n".encode())
            _, ended = os.waitpid(pid, 0)
            os.write(status, f"{os.waitstatus_to_exitcode(ended)}\n".encode())
            os._exit(0)
        for file in files:
            os.close(file)


def _wait_for_those_that_ended() -> None:
    """Leave no zombies, and count the time of the processor that the programs took as that of the tests."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@contextmanager
def _without_optional_packages() -> Iterator[None]:
    """Let packages that are imported not find these."""
    sys.modules |= dict.fromkeys(OPTIONAL_PACKAGES)
    yield
    for name in OPTIONAL_PACKAGES:
        del sys.modules[name]


def _become(arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    """Run a program as the interpreter does, with these arguments, in this folder and environment."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    kind, program, *others = arguments
    sys.argv = [kind, *others]
    sys.path[:0] = ["" if kind == "-c" else cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(program, "<string>", "exec"), main.__dict__)


def _main() -> None:
    del sys.path[0]
    with _without_optional_packages():
        for name in IMPORTED:
            with suppress(ImportError):  # no version of Datasette needs all of them
                importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as connection:
        request = _serve(connection)
    if request is not None:
        _become(**request)


if __name__ == "__main__":
    _main()
