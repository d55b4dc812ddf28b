"""Python programs of a few lines, as processes of their own: for what is set once a process, as providers are."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import Any

from backends import REPOSITORY
from processes import clean_environment

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
    environment = clean_environment(PYTHONPATH=str(REPOSITORY / "tests"), NO_PROXY="127.0.0.1", **variables)
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(source), *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return Ran([json.loads(line) for line in ended.stdout.splitlines()], ended.stderr, time.monotonic() - began)
