"""Programs that emit records into an outbox until a signal ends them.

They are forked from one process with one thread, which has imported all they need: starting them anew would take most of
the time of the tests.
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
from delivery.outboxes import logging_to
from processes import program_environment

_PAUSE_EACH: Final = 50
_PAUSE_SECONDS: Final = 0.001


@dataclass(frozen=True)
class Program:
    """One that runs.

    Attributes:
        pid: Its process id.
        told: Where it writes the unique id of each record that was accepted.
    """

    pid: int
    told: Path

    def acknowledged(self) -> list[str]:
        """The ids of the records that were accepted; a line without its end was being written."""
        return self.told.read_text().split("\n")[:-1] if self.told.exists() else []

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, and wait until it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)
        wait_until(lambda: not _is_there(self.pid), interval_seconds=0.002)


class Programs:
    """Starts programs, inside a `with`."""

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

    def start(self, directory: Path, endpoint: str, name: str) -> Program:
        """A program that emits `<name>:0`, `<name>:1` and so on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        told = directory.parent / f"{name}.told"
        self._process.stdin.write(json.dumps([str(directory), endpoint, name, str(told)]) + "\n")
        return Program(int(self._process.stdout.readline()), told)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _emit(directory: str, endpoint: str, name: str, told: str) -> None:
    descriptor = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with logging_to(Path(directory), endpoint) as emit:
        for number in itertools.count():
            emit(f"{name}:{number}")
            os.write(descriptor, f"{name}:{number}\n".encode())
            if not number % _PAUSE_EACH:
                time.sleep(_PAUSE_SECONDS)


def _serve() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends leaves no zombie
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
