"""Python programs of a few lines, as processes of their own: for what is set once a process, as providers are."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import environment_of_tests, run

TIMEOUT_SECONDS = 20.0

# What the programs begin with: an event, a plugin that registers it, and `say`, for what is to be compared.
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

def say(**values):
    os.write(1, (json.dumps(values) + "\\n").encode())
"""


@dataclass(frozen=True)
class Ran:
    """A program that ended: what it said, each line of JSON a dict, and what it complained of."""

    said: list[dict[str, Any]]
    stderr: str
    seconds: float

    @property
    def only(self) -> dict[str, Any]:
        """What it said, in its one line."""
        [said] = self.said
        return said


def python(source: str, *arguments: str, **variables: str) -> Ran:
    """Run the program, after the prelude, with these variables; it has to end in time, and well."""
    environment = environment_of_tests(**variables)
    began = time.monotonic()
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(source), *arguments]
    ended = run(command, cwd=Path.cwd(), env=environment, timeout_seconds=TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    return Ran([json.loads(line) for line in ended.stdout.splitlines()], ended.stderr, time.monotonic() - began)
