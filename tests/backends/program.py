"""A program that `make backends` built, run on free ports of 127.0.0.1."""

from __future__ import annotations

import faulthandler
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar, cast

import pytest
from typing_extensions import Self

REPOSITORY = Path(__file__).resolve().parent.parent.parent
CONFIG = REPOSITORY / "collector-config"
BIN = Path(os.environ.get("HELIOGRAPH_BACKENDS", REPOSITORY / ".backends" / "bin")).resolve()

START_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 10.0
HTTP_TIMEOUT_SECONDS = 5.0

T = TypeVar("T")

# Requests on the loopback interface must not go through a proxy that the environment names.
_http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class BackendError(Exception):
    """A backend did not start (the message has the end of its log), or its API returned an error."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def wait_until(
    predicate: Callable[[], T | None], *, timeout_seconds: float = 60.0, interval_seconds: float = 0.02
) -> T:
    """Call the predicate until it returns a truthy value, and return that value.

    Raises:
        TimeoutError: No value was truthy in time. The message has the last one, and the stacks of all threads are printed.
    """
    deadline = time.monotonic() + timeout_seconds
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            faulthandler.dump_traceback(2)
            raise TimeoutError(f"still {answer!r} after {timeout_seconds} s")
        time.sleep(interval_seconds)
    return answer


def get(url: str, query: Mapping[str, str] | None = None) -> bytes:
    """Return the body of a response to a GET request.

    Raises:
        BackendError: The response is an error; `status` is its HTTP status.
    """
    whole = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    try:
        with _http.open(whole, timeout=HTTP_TIMEOUT_SECONDS) as response:
            return cast("bytes", response.read())
    except urllib.error.HTTPError as error:
        with error:
            raise BackendError(f"{error.code} from {whole}: {error.read().decode()}", error.code) from error


def get_json(url: str, query: Mapping[str, str] | None = None) -> Any:
    """Return the JSON of a response to a GET request. Raise `BackendError` for an error."""
    return json.loads(get(url, query))


def post_json(url: str, body: object) -> int:
    """Send JSON by a POST request, and return the status of the response."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with _http.open(request, timeout=HTTP_TIMEOUT_SECONDS) as response:
            return cast("int", response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class Backend:
    """A program that runs inside a `with` block, or from `start` to `stop`. A second start uses the same ports.

    Args:
        directory: Its working directory, which also gets the file of its output.
        ports: Ports by the names of the variables that its configuration reads. It is ready when all of them answer.
        health: The URL that answers with status 200 when the program is ready, if it has one.
        arguments: Further arguments.
        environment: Further variables.
    """

    program: ClassVar[str]

    def __init__(
        self,
        directory: Path,
        ports: Mapping[str, int],
        *,
        health: str | None = None,
        arguments: tuple[str | Path, ...] = (),
        **environment: str,
    ) -> None:
        self.directory = directory
        self.log = directory / f"{self.program}.log"
        self.arguments = arguments
        self._ports = ports
        self._health = health
        self._environment = {**environment, **{name: str(port) for name, port in ports.items()}}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the program, and return when all its ports answer.

        Raises:
            BackendError: The program ended, or its ports did not answer in time.
        """
        require(self.program)
        with self.log.open("ab") as log:
            # The script replaces itself by the program, so that signals reach the program.
            self._process = subprocess.Popen(
                [CONFIG / "start.sh", self.program, *self.arguments],
                env={**os.environ, "HELIOGRAPH_BACKENDS": str(BIN), **self._environment},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready, timeout_seconds=START_TIMEOUT_SECONDS)
        except TimeoutError as error:
            self.stop()
            raise self._failure(f"not ready after {START_TIMEOUT_SECONDS} s") from error

    def stop(self) -> None:
        """Send the program SIGTERM, and SIGKILL if it does not end in time. Do nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill the program, as a crash does: it writes nothing any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise self._failure(f"ended with exit code {self._process.returncode}")
        return all(map(_is_open, self._ports.values())) and (self._health is None or _is_healthy(self._health))

    def _failure(self, what: str) -> BackendError:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return BackendError(f"{self.program} {what}; the end of {self.log}:\n{tail}")


def require(program: str) -> None:
    """Skip the test if the program was not built. In CI it must have been built, so the test fails."""
    if (BIN / program).exists():
        return
    skip(f"there is no {program} in {BIN}: run `make backends`")


def skip(reason: str) -> NoReturn:
    """Skip the test. In CI it fails."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(HTTP_TIMEOUT_SECONDS)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _is_healthy(url: str) -> bool:
    try:
        get(url)
    except BackendError:
        # 503: it listens, but a part of it has not started yet.
        return False
    return True
