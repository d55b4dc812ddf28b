"""For all tests: fixtures with recorded telemetry and real backends, checks after each test, and the table of the faults."""

from __future__ import annotations

import functools
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import EntryPoints, entry_points

import opentelemetry._logs._internal
import opentelemetry.metrics._internal
import opentelemetry.trace
import pytest

import profiles
from backends.fixtures import collector, jaeger, prometheus, victorialogs
from faults.report import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown
from heliograph.hooks import plugins
from heliograph.runtime.loop import BackgroundLoop
from heliograph.telemetry.observers import observers
from otlp_receiver import Receiver
from recorder import Telemetry

__all__ = [
    "collector",
    "jaeger",
    "prometheus",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "victorialogs",
]

# Datasette's own switch: no plugin is loaded from an entry point in this process, because another installed plugin would set
# a global provider. The tests register the plugins that they need.
sys._called_from_test = True  # type: ignore[attr-defined]

for _name in list(os.environ):
    if _name.startswith(("OTEL_", "HELIOGRAPH_")) and _name != "HELIOGRAPH_BACKENDS":
        del os.environ[_name]

# Shells make the jobs that they run in the background ignore Ctrl-C, and programs inherit that. Tests send it to programs.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without files of bytecode, each program that a test starts would compile the modules that it imports, and each process of
# pytest-xdist would rewrite the assertions of all tests, which takes longer than to run most of them.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@functools.cache
def _entry_points_of(path: tuple[str, ...], group: str) -> EntryPoints:
    return entry_points(group=group)


# Each host asks for them, which takes half of its start: the files of all installed distributions are read.
plugins.entry_points = lambda group: _entry_points_of(tuple(sys.path), group)

_LONGEST_ID = 50
"""The longest text that is part of a test's name."""

profiles.register()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the collected tests out of the collections of garbage: they live to the end, and to look at all takes about a second."""
    gc.disable()
    collected = yield
    gc.freeze()
    gc.enable()
    return collected


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes and long texts by their parameter.

    Tokens and compressed bytes differ from process to process, and the processes of pytest-xdist must agree on the names of tests.
    """
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > _LONGEST_ID):
        return argname
    return None


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Delete at the end what tests and their programs leave in the folder for temporary files, as a Datasette that is killed does."""
    folder = tmp_path_factory.mktemp("temporary")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of async tests."""
    return "asyncio"


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Providers of the SDK that keep all telemetry in memory."""
    recorded = Telemetry()
    yield recorded
    recorded.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that keeps the telemetry that it receives."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def background() -> Iterator[BackgroundLoop]:
    """An event loop in a thread of its own, such as that of a host."""
    loop = BackgroundLoop()
    yield loop
    loop.stop()


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """heliograph's log records of level WARNING and above."""
    caplog.set_level(logging.WARNING, logger="heliograph")
    return caplog


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let files be created with all the permissions that they ask for."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def fast_collections() -> None:
    """Let `gc.collect` look at the objects of the test alone. With those that earlier tests left, each call takes longer."""
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail the test if it leaves a thread of heliograph, because every host must be shut down, or a global provider.

    Its observers are removed: a Datasette that still lives has some, which would see the events of later tests. It is one fixture,
    because each costs every test some time.
    """
    threads, providers = set(threading.enumerate()), _global_providers()
    yield
    observers.clear()
    deadline = time.monotonic() + 5
    while left := [each for each in threading.enumerate() if each not in threads and _is_ours(each)]:
        if time.monotonic() > deadline:
            pytest.fail(f"still running: {left}")
        time.sleep(0.01)
    assert _global_providers() == providers, "later tests would see other providers"


def _global_providers() -> tuple[object, ...]:
    return (
        opentelemetry.trace._TRACER_PROVIDER,
        opentelemetry._logs._internal._LOGGER_PROVIDER,
        opentelemetry.metrics._internal._METER_PROVIDER,
    )


def _is_ours(thread: threading.Thread) -> bool:
    return thread.name.startswith("heliograph")
