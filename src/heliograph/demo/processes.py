"""Run the processes of the demo: the forum that ends by itself, the forum that is killed, and ``heliograph outbox drain``."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heliograph.demo.program import UNTIL_KILLED

SERVICE: Final = "heliograph-demo"
"""The service name in the telemetry of the program."""
TIMEOUT_SECONDS: Final = 60.0
"""The time after which a process is killed."""

_FORUM: Final = ("-m", "heliograph.demo.program")
_DRAIN: Final = ("-m", "heliograph", "outbox", "drain")


class DemoFailed(Exception):
    """A process of the demo failed, or did not end in time."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that has ended.

    Attributes:
        status: The exit status; negative if it was killed by the signal of this number.
        lines: The lines of the standard output.
        errors: The lines of the standard error.
    """

    status: int
    lines: list[str]
    errors: list[str]


def finished_forum(endpoint: str, quarantine: Path) -> Ended:
    """Run the forum, which exports to the endpoint, and sets invalid events aside in a file.

    Raises:
        DemoFailed: It failed, or did not end in time.
    """
    environ = _environment(endpoint) | {"HELIOGRAPH_QUARANTINE": str(quarantine)}
    return _checked(_run([*_FORUM], environ), "program")


def killed_forum(endpoint: str, outbox: Path) -> Ended:
    """Run the forum until it has tracked its events into the outbox, and kill it.

    Raises:
        DemoFailed: It ended, or was killed after `TIMEOUT_SECONDS`, before it had tracked them.
    """
    environ = _environment(endpoint) | {
        "HELIOGRAPH_OUTBOX": str(outbox),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
    }
    with subprocess.Popen(  # noqa: S603 — this Python, with arguments of ours
        [sys.executable, *_FORUM, UNTIL_KILLED],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None  # noqa: S101 — for the type checker: it is a pipe
        assert process.stderr is not None  # noqa: S101 — the same
        with _killed_in_time(process):
            line = process.stdout.readline()
        process.kill()
        ended = Ended(status=process.wait(), lines=line.splitlines(), errors=process.stderr.read().splitlines())
    if not ended.lines:
        raise DemoFailed(f"the demo's program tracked nothing: {_last(ended.errors)}")
    return ended


def drain(endpoint: str, outbox: Path) -> Ended:
    """Run ``heliograph outbox drain``.

    Raises:
        DemoFailed: It failed, or did not end in time.
    """
    return _checked(_run([*_DRAIN, str(outbox)], _environment(endpoint)), "command `heliograph outbox drain`")


def _environment(endpoint: str) -> dict[str, str]:
    # The caller's own OTEL_* and HELIOGRAPH_* settings must not change what the demo shows, or send it elsewhere.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "HELIOGRAPH_"))}
    return environ | {
        "OTEL_SERVICE_NAME": SERVICE,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "NO_PROXY": "127.0.0.1",
        # Where both spellings are set, this one applies.
        "no_proxy": "127.0.0.1",
    }


def _run(arguments: list[str], environ: dict[str, str]) -> Ended:
    try:
        ended = subprocess.run(  # noqa: S603 — this Python, with arguments of ours
            [sys.executable, *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoFailed(
            f"a process of the demo did not end within {TIMEOUT_SECONDS:g} seconds and was killed"
        ) from error
    return Ended(status=ended.returncode, lines=ended.stdout.splitlines(), errors=ended.stderr.splitlines())


@contextmanager
def _killed_in_time(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process after `TIMEOUT_SECONDS`, so that a block which reads its output ends."""
    timer = threading.Timer(TIMEOUT_SECONDS, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _checked(ended: Ended, name: str) -> Ended:
    if ended.status:
        raise DemoFailed(f"the demo's {name} failed with exit status {ended.status}: {_last(ended.errors)}")
    return ended


def _last(errors: list[str]) -> str:
    return errors[-1] if errors else "it printed no error"
