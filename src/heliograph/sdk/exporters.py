"""The exporters that the environment asks for, by the specification's names and defaults.

Source: OpenTelemetry specification, SDK environment variables, exporter selection; OTLP exporter, protocol.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

OTLP_BY_PROTOCOL: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
DEFAULT_PROTOCOL: Final = "http/protobuf"


class TelemetrySignal(str, enum.Enum):
    """What OpenTelemetry calls a signal, as its variables and entry points spell it."""

    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"

    @property
    def exporter_variable(self) -> str:
        """The variable that names the signal's exporters."""
        return f"OTEL_{self.value.upper()}_EXPORTER"

    @property
    def entry_point_group(self) -> str:
        """The group of the entry points that bring exporters of the signal."""
        return f"opentelemetry_{self.value}_exporter"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What the environment asks for, for one signal.

    Attributes:
        exporters: The entry points of its exporters; none is a choice too.
        problems: One sentence for each name that cannot be used.
    """

    exporters: tuple[EntryPoint, ...]
    problems: tuple[str, ...]


def select(signal: TelemetrySignal, environ: Mapping[str, str]) -> Selection:
    """The exporters that the environment asks for: ``otlp`` over HTTP unless it says otherwise."""
    said = environ.get(signal.exporter_variable) or "otlp"
    names = [name.strip() for name in said.split(",") if name.strip()]
    if "none" in names:
        return Selection(exporters=(), problems=())
    found, problems = [], []
    for name in names:
        exporter, problem = _find(signal, name, environ)
        found += [exporter] if exporter else []
        problems += [problem] if problem else []
    return Selection(exporters=tuple(found), problems=tuple(problems))


def asks_for_export(environ: Mapping[str, str]) -> bool:
    """Whether something in the environment says where to send telemetry, or how."""
    names = ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    for signal in TelemetrySignal:
        names += [signal.exporter_variable, f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_ENDPOINT"]
    return any(environ.get(name) for name in names)


def _find(signal: TelemetrySignal, name: str, environ: Mapping[str, str]) -> tuple[EntryPoint | None, str | None]:
    if name == "otlp":
        variable, protocol = _protocol(signal, environ)
        if protocol not in OTLP_BY_PROTOCOL:
            return None, f"{variable}: {protocol!r} has to be one of {', '.join(OTLP_BY_PROTOCOL)}"
        name = OTLP_BY_PROTOCOL[protocol]
    known = entry_points(group=signal.entry_point_group)
    for exporter in known:
        if exporter.name == name:
            return exporter, None
    names = ", ".join(sorted({"none", *known.names}))
    return None, f"{signal.exporter_variable}: there is no exporter {name!r} installed; there are: {names}"


def _protocol(signal: TelemetrySignal, environ: Mapping[str, str]) -> tuple[str, str]:
    own, common = f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    if environ.get(own):
        return own, environ[own]
    return common, environ.get(common) or DEFAULT_PROTOCOL
