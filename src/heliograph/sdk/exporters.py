"""The exporters that the environment variables select, by the specification's names and defaults.

Source: OpenTelemetry specification, SDK environment variables, exporter selection; OTLP exporter, protocol.
"""

from __future__ import annotations

import enum

# Otherwise `requests`, which the exporters over HTTP use, imports `netrc` in the thread that exports. A child that is forked in the meantime
# would wait for ever for the lock of that import.
import netrc  # noqa: F401
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Final

from heliograph.delivery.transport.exporter_variables import find_variable
from heliograph.telemetry.otel_api import entry_points

OTLP_BY_PROTOCOL: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
"""The entry point of the OTLP exporter for each protocol that the SDK implements."""
DEFAULT_PROTOCOL: Final = "http/protobuf"

_NONE: Final = "none"


class TelemetrySignal(str, enum.Enum):
    """A signal of OpenTelemetry, spelled as in its variables and entry points.

    Not to be confused with `heliograph.Signal`: the signals that an event is emitted as.
    """

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"

    @property
    def exporter_variable(self) -> str:
        """The name of the variable that selects the signal's exporters."""
        return f"OTEL_{self.value.upper()}_EXPORTER"

    @property
    def entry_point_group(self) -> str:
        """The group of the entry points of the signal's exporters."""
        return f"opentelemetry_{self.value}_exporter"

    def is_unwanted(self, environ: Mapping[str, str]) -> bool:
        """Return True if the environment selects no exporter of the signal: its variable is ``none``."""
        return {name.lower() for name in self.names_of_exporters(environ)} == {_NONE}

    def names_of_exporters(self, environ: Mapping[str, str]) -> list[str]:
        """Return the names in the signal's variable; an empty list if it is not set."""
        return [name.strip() for name in environ.get(self.exporter_variable, "").split(",") if name.strip()]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The exporters that the environment selects for one signal.

    Attributes:
        exporters: The entry points of the exporters; empty if the environment says ``none``.
        problems: One message for each name that cannot be used.
    """

    exporters: tuple[EntryPoint, ...]
    problems: tuple[str, ...]


def select(signal: TelemetrySignal, environ: Mapping[str, str]) -> Selection:
    """Return the exporters of a signal that the environment selects; by default OTLP over HTTP."""
    if signal.is_unwanted(environ):
        return Selection(exporters=(), problems=())
    found, problems = [], []
    for name in signal.names_of_exporters(environ) or ["otlp"]:
        exporter, problem = _find(signal, name, environ)
        found += [exporter] if exporter else []
        problems += [problem] if problem else []
    return Selection(exporters=tuple(found), problems=tuple(problems))


def _find(signal: TelemetrySignal, name: str, environ: Mapping[str, str]) -> tuple[EntryPoint | None, str | None]:
    """Return the entry point of the exporter that a variable names, or a message if it cannot be used."""
    if name == "otlp":
        variable, value = find_variable("PROTOCOL", signal.value, environ)
        protocol = value or DEFAULT_PROTOCOL
        if protocol not in OTLP_BY_PROTOCOL:
            return None, f"{variable}: {protocol!r} must be one of {', '.join(OTLP_BY_PROTOCOL)}"
        name = OTLP_BY_PROTOCOL[protocol]
    if name.lower() == _NONE:
        return None, f"{signal.exporter_variable}: {name!r} is beside other exporters; remove it, or remove the others"
    known = entry_points(group=signal.entry_point_group)
    for exporter in known:
        if exporter.name == name:
            return exporter, None
    names = ", ".join(sorted({_NONE, *known.names}))
    return None, f"{signal.exporter_variable}: no exporter {name!r} is installed; use one of: {names}"
