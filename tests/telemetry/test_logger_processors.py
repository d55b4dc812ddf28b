"""The processors of a logger: of the SDK, and of anything else."""

from __future__ import annotations

from opentelemetry.sdk._logs import LoggerProvider

from delivery.recording_outbox import of_the_sdk
from heliograph.telemetry.logger_processors import processors_of


def test_processors_of_the_sdk() -> None:
    provider, outbox = of_the_sdk()

    assert list(processors_of(provider.get_logger("tests"))) == [outbox]
    assert list(processors_of(LoggerProvider(shutdown_on_exit=False).get_logger("tests"))) == []


def test_other_loggers_have_none() -> None:
    assert list(processors_of(object())) == []
