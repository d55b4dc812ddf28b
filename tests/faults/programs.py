"""Programs that emit log records or spans into an outbox until a signal ends them.

They are forked from one process with one thread, which has imported everything: starting each from scratch would take most
of the time of the tests.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typing_extensions import Self

from backends import wait_until
from delivery.emitters import emitting_to
from delivery.outboxes import destination
from delivery.servers import Arrived
from heliograph.delivery.signals import BY_NAME, LOGS, OutboxSignal
from processes import program_environment

_PAUSE_EACH: Final = 50
_PAUSE_SECONDS: Final = 0.001


@dataclass(frozen=True)
class Program:
    """A running program.

    Attributes:
        pid: Its process id.
        accepted_file: The file to which it writes the unique id of each accepted record, or the id of each accepted span.
    """

    pid: int
    accepted_file: Path

    def acknowledged(self) -> list[str]:
        """Return the ids of the accepted records. A last line without its end is incomplete, and is left out."""
        return self.accepted_file.read_text().split("\n")[:-1] if self.accepted_file.exists() else []

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the program by a signal, and wait until the process has gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)
        wait_until(lambda: not process_exists(self.pid), timeout_seconds=60, interval_seconds=0.002)


class Programs:
    """Starts programs. A context manager."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "faults.programs"]
        environment = program_environment()
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def start(self, directory: Path, server: Arrived, name: str, signal: OutboxSignal = LOGS) -> Program:
        """Start a program that emits records of a signal. They have the names `<name>:0`, `<name>:1` and so on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        accepted_file = directory.parent / f"{name}.accepted"
        arguments = [str(directory), server.endpoint_of(signal.name), name, str(accepted_file), signal.name]
        self._process.stdin.write(json.dumps(arguments) + "\n")
        return Program(int(self._process.stdout.readline()), accepted_file)


def process_exists(pid: int) -> bool:
    """Return True if the process runs, or has ended and was not waited for yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _emit(directory: str, endpoint: str, name: str, accepted_file: str, signal: str) -> None:
    descriptor = os.open(accepted_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    # Long enough for a server on a busy machine: a time-out would be another failure than those that tests count.
    target = destination(endpoint, signal=signal, timeout_seconds=60)
    with emitting_to(BY_NAME[signal], Path(directory), destination=target) as emit:
        for number in itertools.count():
            os.write(descriptor, f"{emit(f'{name}:{number}')}\n".encode())
            if not number % _PAUSE_EACH:
                time.sleep(_PAUSE_SECONDS)


def _serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that end leave no zombies
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            _emit(*json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    _serve()
