"""Systems that lack parts of POSIX: everything can be imported and works, the outbox where it can, else with one clear error.

The parts are taken away from the standard library of this system, before heliograph is imported.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otlp_receiver import Receiver
from processes import otlp, program_environment, run
from scripts import PRELUDE

# The standard library's own modules are imported first, because here they belong to this system.
TAKE_AWAY = """
import asyncio, asyncio.base_events, concurrent.futures, logging, multiprocessing.util, os, random, socket, sqlite3, subprocess, sys, tempfile
import importlib.metadata, importlib.util, pathlib, shutil, ssl, threading, http.client, http.server, socketserver, uuid

def take_away(names, modules=()):
    for name in names:
        if hasattr(os, name):
            delattr(os, name)
    for name in modules:
        sys.modules[name] = None  # its import raises an ImportError
"""
MACOS = (
    TAKE_AWAY + "take_away(['posix_fallocate', 'fdatasync', 'posix_fadvise', 'memfd_create', 'sched_getaffinity'])\n"
)
WINDOWS = TAKE_AWAY + (
    "take_away(['posix_fallocate', 'fdatasync', 'posix_fadvise', 'fork', 'forkpty', 'register_at_fork', 'O_CLOEXEC', 'O_NOFOLLOW',\n"
    "           'O_DIRECTORY', 'O_NONBLOCK', 'geteuid', 'getuid', 'getegid', 'getgid', 'pread', 'pwrite', 'fchmod', 'fchown',\n"
    "           'statvfs', 'sched_getaffinity', 'killpg', 'WNOHANG'],\n"
    "          ['fcntl', 'resource', 'pwd', 'grp', 'termios'])\n"
)
SYSTEMS = {"macOS": MACOS, "Windows": WINDOWS}

EVERYTHING = """
import importlib, pkgutil
import heliograph
for module in pkgutil.walk_packages(heliograph.__path__, "heliograph."):
    if "integrations" not in module.name and "heliograph.dashboards." not in module.name:
        importlib.import_module(module.name)

class Async:
    @hookimpl
    def track_event(self, datasette, event):
        async def inner():
            await datasette.get_internal_database().execute_write("create table if not exists seen (n integer)")
            report(hook=event.n)
        return inner if isinstance(event, Tick) else None

settings = Settings(quarantine="quarantine.db", validation="quarantine", secret=("s",))
host = configure(settings, plugins=[Plugin(), Async()])
host.track(Tick(n=1))
host.track(Tick(n="one"))  # is set aside
token = host.call(host.create_token, "root")
report(actor=host.call(host.verify_token, token)["id"])
assert host.flush()
from heliograph.quarantine.store import Quarantine
report(quarantined=len(list(Quarantine("quarantine.db").find())))
assert host.shutdown()
"""


def run_on(system: str, source: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program on a system."""
    command = [sys.executable, "-c", SYSTEMS[system] + source]
    return run(command, cwd=directory, env=program_environment(**variables))


@pytest.mark.parametrize("system", SYSTEMS)
def test_everything_without_an_outbox(tmp_path: Path, system: str) -> None:
    """All modules can be imported; events, async hooks, databases, tokens, the quarantine and the export work."""
    with Receiver() as receiver:
        ended = run_on(system, PRELUDE + EVERYTHING, tmp_path, **otlp(receiver.endpoint))
        assert ended.returncode == 0, ended.stderr
        records = {log.event_name: log.attributes.get("test.tick.n") for log in receiver.logs()}
        assert records == {"test.tick": 1, "heliograph.token_created": None}

    reports = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {"hook": 1} in reports
    assert {"actor": "root"} in reports
    assert {"quarantined": 1} in reports


WITH_AN_OUTBOX = """
host = configure(plugins=[Plugin()])
for n in range(1000):
    host.track(Tick(n=n))
assert host.shutdown()
"""


def test_outbox_on_macos(tmp_path: Path) -> None:
    """Space on the disk is reserved by writing zeros. All records arrive, and no folder is left."""
    with Receiver() as receiver:
        variables = otlp(receiver.endpoint, HELIOGRAPH_OUTBOX="box", HELIOGRAPH_OUTBOX_SYNC="full")
        ended = run_on("macOS", PRELUDE + WITH_AN_OUTBOX, tmp_path, **variables)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert [log.attributes["test.tick.n"] for log in receiver.logs()] == list(range(1000))

    assert [path for path in (tmp_path / "box").iterdir() if path.is_dir()] == []


def test_outbox_on_windows(tmp_path: Path) -> None:
    """`configure` raises an error that names the directory and the reason, and creates nothing."""
    variables = otlp("http://127.0.0.1:1", HELIOGRAPH_OUTBOX="box")
    ended = run_on("Windows", PRELUDE + WITH_AN_OUTBOX, tmp_path, **variables)

    assert ended.returncode == 1
    assert "OutboxError" in ended.stderr.splitlines()[-1]
    assert "this system has no file locks that end with their process (POSIX flock)" in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "box").exists()


@pytest.mark.parametrize("command", ["status", "verify", "drain"])
def test_outbox_commands_on_windows(tmp_path: Path, command: str) -> None:
    """A command that needs an outbox ends with one line in place of a traceback."""
    source = f"from heliograph.cli.main import cli; cli(['outbox', '{command}'])"
    (tmp_path / "box").mkdir()
    ended = run_on("Windows", source, tmp_path, **otlp("http://127.0.0.1:1", HELIOGRAPH_OUTBOX="box"))

    assert ended.returncode != 0
    assert "this system has no file locks" in ended.stderr
    assert "Traceback" not in ended.stderr
