"""Run `heliograph tail` as a process, and send to it."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import forked
from backends import wait_until
from processes import clean_environment, start

EXIT_SECONDS = 60


@dataclass
class Tail:
    """A running `heliograph tail`, whose output is in files."""

    process: subprocess.Popen[bytes] | forked.Process
    folder: Path
    endpoint: str = ""
    grpc_endpoint: str = ""

    def lines(self) -> list[str]:
        """Return the lines of the standard output so far."""
        return (self.folder / "tail.out").read_text().splitlines()

    def errors(self) -> str:
        """Return the standard error so far."""
        return (self.folder / "tail.err").read_text()

    def wait_for_lines(self, number: int) -> list[str]:
        """Wait until there are at least so many lines, and return all."""
        wait_until(lambda: len(self.lines()) >= number, timeout_seconds=EXIT_SECONDS)
        return self.lines()

    def wait_for_error(self, pattern: str) -> re.Match[str]:
        """Wait until the standard error has a text, and return the match."""
        wait_until(
            lambda: re.search(pattern, self.errors()) or self.process.poll() is not None, timeout_seconds=EXIT_SECONDS
        )
        found = re.search(pattern, self.errors())
        assert found is not None, self.errors()
        return found

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it by a signal, and return its exit status."""
        self.process.send_signal(how)
        return self.process.wait(EXIT_SECONDS)

    def send(self, *requests: Message) -> None:
        """Send requests over one connection. All of them are accepted."""
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=EXIT_SECONDS)
        with closing(connection):
            for request in requests:
                path = "/v1/traces" if isinstance(request, ExportTraceServiceRequest) else "/v1/logs"
                connection.request(
                    "POST", path, request.SerializeToString(), {"Content-Type": "application/x-protobuf"}
                )
                response = connection.getresponse()
                assert (response.status, response.read()) == (200, b"")


@contextmanager
def tailing(
    folder: Path, *options: str, output: Path | None = None, fresh: bool = False, **variables: str
) -> Iterator[Tail]:
    """Run it on free ports, until the block ends. Its standard output is in the folder, unless another file is named.

    It is forked, unless it needs a fresh interpreter.
    """
    command = [sys.executable, "-m", "heliograph", "tail", *options, "--port", "0", "--grpc-port", "0"]
    with (output or folder / "tail.out").open("wb") as out, (folder / "tail.err").open("wb") as err:
        process = start(command, stdout=out, stderr=err, cwd=folder, env=clean_environment(**variables), fresh=fresh)
    tail = Tail(process, folder)
    try:
        tail.endpoint, tail.grpc_endpoint = tail.wait_for_error(
            r"Receiving OTLP at (\S+) \(HTTP\) and (\S+) \(gRPC\)"
        ).groups()
        yield tail
    finally:
        process.kill()
        process.wait()
