"""Run short Python programs as separate processes, for state that is set once per process, such as providers."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
import processes
from processes import program_environment

TIMEOUT_SECONDS = 120.0

# Every program begins with this: an event, a plugin that registers it, and `report`, which prints values for the test to compare.
PRELUDE = """
import json, os, sys, threading, time
from dataclasses import dataclass
from heliograph import Event, Host, Settings, configure, hookimpl

@dataclass
class Tick(Event, namespace="test"):
    name = "tick"
    n: int

class Plugin:
    @hookimpl
    def register_events(self):
        return [Tick]

def report(**values):
    os.write(1, (json.dumps(values) + "\\n").encode())
"""


@dataclass(frozen=True)
class Ran:
    """A program that has ended. `reports` has one dict for each call of `report`."""

    reports: list[dict[str, Any]]
    stderr: str

    @property
    def only(self) -> dict[str, Any]:
        """The one line that it printed."""
        [report] = self.reports
        return report


def python(source: str, *arguments: str, fresh: bool = False, **variables: str) -> Ran:
    """Run the prelude and the program with these variables. Fail unless it ends in time with status 0.

    It is forked, with heliograph imported, unless it needs a fresh interpreter.
    """
    run = processes.run if fresh else forked.run
    environment = program_environment(**variables)
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(source), *arguments]
    ended = run(command, cwd=Path.cwd(), env=environment, timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    return Ran([json.loads(line) for line in ended.stdout.splitlines()], ended.stderr)
