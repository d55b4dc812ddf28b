"""Backends that run for the whole test session. A test looks for its own service name or trace id."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backends.collector import Collector
from backends.jaeger import Jaeger
from backends.prometheus import Prometheus
from backends.victorialogs import VictoriaLogs


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger for all tests."""
    with Jaeger(tmp_path_factory.mktemp("jaeger")) as backend:
        yield backend


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger) -> Iterator[Collector]:
    """A Collector for all tests, which forwards to `jaeger`."""
    with Collector(tmp_path_factory.mktemp("collector"), jaeger) as backend:
        yield backend


@pytest.fixture(scope="session")
def victorialogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaLogs]:
    """A VictoriaLogs for all tests."""
    with VictoriaLogs(tmp_path_factory.mktemp("victorialogs")) as backend:
        yield backend


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus for all tests."""
    with Prometheus(tmp_path_factory.mktemp("prometheus")) as backend:
        yield backend
