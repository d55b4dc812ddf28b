"""OpenTelemetry's declarative configuration: the file that ``OTEL_CONFIG_FILE`` names.

The public package ``opentelemetry-configuration`` reads the file and creates the providers. By the specification, the file is then
the only source: other ``OTEL_*`` variables have no effect, except where the file refers to them. Providers that the file does not
have stay unset, and those that are set already stay as they are.

The providers belong to the SDK, which shuts them down when the interpreter exits; a host flushes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from opentelemetry.metrics import NoOpMeterProvider, set_meter_provider
from opentelemetry.trace import NoOpTracerProvider, set_tracer_provider
from yaml.error import Mark, MarkedYAMLError

from heliograph.errors import SettingsError
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.telemetry.missing_providers import CONFIG_FILE
from heliograph.telemetry.otel_api import NoOpLoggerProvider, set_logger_provider

PACKAGE: Final = "opentelemetry-configuration"

_FIELDS: Final[Mapping[TelemetrySignal, str]] = {
    TelemetrySignal.TRACES: "tracer_provider",
    TelemetrySignal.LOGS: "logger_provider",
    TelemetrySignal.METRICS: "meter_provider",
}

_PLACE: Final = re.compile(r"\(at ([\w/> -]+)\)\s*$")
"""The place in the file, at the end of a message about its schema."""

_DISABLE: Final[Mapping[TelemetrySignal, Callable[[], None]]] = {
    TelemetrySignal.TRACES: lambda: set_tracer_provider(NoOpTracerProvider()),
    TelemetrySignal.LOGS: lambda: set_logger_provider(NoOpLoggerProvider()),
    TelemetrySignal.METRICS: lambda: set_meter_provider(NoOpMeterProvider()),
}


def set_up_from_file(path: str, missing: Collection[TelemetrySignal]) -> None:
    """Set the global providers of the missing signals as the file says: with ``disabled: true``, providers that do nothing.

    Args:
        path: The file.
        missing: The signals that have no provider yet.

    Raises:
        SettingsError: The package is not installed, or the file cannot be read or used.
    """
    config = load_file(path)
    # Imported here, because few programs have this package.
    from opentelemetry.configuration import configure_sdk

    try:
        for signal in _FIELDS.keys() - missing:
            setattr(config, _FIELDS[signal], None)
        configure_sdk(config)
        if config.disabled:
            for signal in missing:
                _DISABLE[signal]()
    except Exception as error:
        # The components that the file names may raise anything.
        raise SettingsError([f"{CONFIG_FILE}: {path!r} cannot be used: {error}"]) from error


def load_file(path: str) -> Any:
    """Return the content of the file, with the variables that it refers to, as the package models it. Nothing is set up.

    Raises:
        SettingsError: The package is not installed, or the file cannot be read. The message has no value of the file, which may be
            a credential.
    """
    try:
        # Imported here, because few programs have this package.
        from opentelemetry.configuration import load_config_file
    except ImportError as error:
        raise SettingsError(
            [f"{CONFIG_FILE}: install {PACKAGE} (pip install {PACKAGE}), or remove the variable ({error})"]
        ) from error
    try:
        return load_config_file(path)
    except Exception as error:
        # The package documents one type of exception, but a file may contain anything.
        raise SettingsError([f"{CONFIG_FILE}: {path!r} cannot be used: {_without_values(error)}"]) from error


def _without_values(error: Exception) -> str:
    """Return the message of an error about the file. Messages of parsers quote the file, so their place is named instead."""
    match error.__cause__:
        case MarkedYAMLError(problem_mark=Mark() as mark):
            return f"it is not YAML (line {mark.line + 1}, column {mark.column + 1})"
        case None if not _PLACE.search(str(error)):
            return str(error)
        case cause:
            place = _PLACE.search(str(error))
            where = f" at {place[1]}" if place else ""
            return f"it does not match OpenTelemetry's schema{where} ({type(cause or error).__name__})"
