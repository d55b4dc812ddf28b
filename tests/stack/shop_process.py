"""Run the program of `stack/shop.py` as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from processes import otlp, program_environment

EXIT_SECONDS = 120.0
LONGEST_QUEUE = 20_000
"""The number of spans that it keeps until they are sent: no test may lose one in the program itself."""


class Shop:
    """The program of `stack/shop.py`. The ids of its traces are collected in `traces`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.traces: list[str] = []

    def begin(self, events: int, *, spans: bool, flush: bool) -> None:
        """Let it track events, and do not wait for it."""
        _pipe(self._process.stdin).write(json.dumps({"events": events, "spans": spans, "flush": flush}) + "\n")

    def finish(self) -> Any:
        """Wait until it has done that, and return its answer."""
        answer = json.loads(_pipe(self._process.stdout).readline())
        self.traces += answer["traces"]
        return answer

    def order(self, events: int, *, spans: bool = True) -> None:
        """Let it track events, and wait until the Collector has accepted all of it."""
        self.begin(events, spans=spans, flush=True)
        assert self.finish()["flushed"]

    def end(self) -> None:
        _pipe(self._process.stdin).close()
        assert self._process.wait(EXIT_SECONDS) == 0


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextmanager
def shop(endpoint: str, directory: Path) -> Iterator[Shop]:
    environment = program_environment(
        **otlp(endpoint, OTEL_SERVICE_NAME="shop", OTEL_METRIC_EXPORT_INTERVAL="1000"),
        OTEL_BSP_MAX_QUEUE_SIZE=str(LONGEST_QUEUE),
        HELIOGRAPH_OUTBOX=str(directory / "outbox"),
        HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="60000",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "stack.shop"],
        env=environment,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        yield Shop(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            _pipe(pipe).close()
