"""Find the endpoints that the environment selects for each signal, and the mistakes that are visible without sending anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Final

from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.endpoint import scheme_of
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.delivery.transport.explain import explain_endpoint
from heliograph.delivery.transport.exporter_variables import COMMON_ENDPOINT, find_variable
from heliograph.doctor import findings
from heliograph.doctor.config_file import ConfigFile, DeclaredExporter
from heliograph.doctor.findings import Finding
from heliograph.errors import SettingsError
from heliograph.sdk.explained_exporters import endpoint_problem
from heliograph.sdk.exporters import OTLP_BY_PROTOCOL, Selection, TelemetrySignal, select
from heliograph.settings import Settings
from heliograph.telemetry.missing_providers import CONFIG_FILE
from heliograph.telemetry.providers import is_disabled

ENVIRONMENT: Final = "environment"
"""The subject of findings that are not about one signal."""

_PROTOCOLS: Final = {exporter: protocol for protocol, exporter in OTLP_BY_PROTOCOL.items()}
_OFF_SAMPLERS: Final = frozenset({"always_off", "parentbased_always_off"})


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """An endpoint that a signal is exported to.

    Attributes:
        signal: The signal.
        destination: The endpoint.
        source: The variable or the file that names the endpoint, or ``default``.
    """

    signal: TelemetrySignal
    destination: Destination
    source: str


def find_targets(environ: Mapping[str, str], settings: Settings) -> tuple[list[ExportTarget], list[Finding]]:
    """Return the endpoints that telemetry is exported to over OTLP, and the findings about the environment."""
    if is_disabled(environ):
        return [], [Finding(kind=findings.DISABLED, subject=ENVIRONMENT, detail="OTEL_SDK_DISABLED is true")]
    if path := environ.get(CONFIG_FILE):
        return _find_targets_in_file(path, environ)
    targets: list[ExportTarget] = []
    found = list(_sampler_findings(environ))
    for signal in TelemetrySignal:
        selection = select(signal, environ)
        found += _selection_findings(signal, selection, environ)
        for exporter in selection.exporters:
            if exporter.name in _PROTOCOLS:
                target, problems = _target(signal, exporter, environ, settings)
                targets += [target] if target else []
                found += problems
    if not targets and not any(each.kind.is_problem for each in found):
        found.append(Finding(kind=findings.NOTHING_TESTED, subject=ENVIRONMENT, detail="no signal is exported by OTLP"))
    return targets, found


def _find_targets_in_file(path: str, environ: Mapping[str, str]) -> tuple[list[ExportTarget], list[Finding]]:
    found = [Finding(kind=findings.CONFIG_FILE, subject=ENVIRONMENT, detail=f"{CONFIG_FILE} is {path}")]
    try:
        file = ConfigFile.load(path)
    except SettingsError as error:
        wrong = [Finding(kind=findings.WRONG_VARIABLE, subject=ENVIRONMENT, detail=each) for each in error.problems]
        return [], found + wrong
    if file.is_disabled:
        return [], [*found, Finding(kind=findings.DISABLED, subject=ENVIRONMENT, detail=f"{path} says disabled: true")]
    targets = []
    if file.samples_nothing:
        subject = TelemetrySignal.TRACES.value
        found.append(Finding(kind=findings.NOT_SAMPLED, subject=subject, detail=f"the sampler in {path} is always_off"))
    for signal in TelemetrySignal:
        exporters = [each for each in file.exporters if each.signal is signal]
        if not exporters:
            detail = f"{path} has no exporter for it"
            found.append(Finding(kind=findings.NOT_EXPORTED, subject=signal.value, detail=detail))
        for exporter in exporters:
            target, problems = _declared_target(exporter, path, environ)
            targets += [target] if target else []
            found += problems
    if not targets and not any(each.kind.is_problem for each in found):
        found.append(
            Finding(kind=findings.NOTHING_TESTED, subject=ENVIRONMENT, detail=f"{path} exports nothing by OTLP")
        )
    return targets, found


def _declared_target(
    exporter: DeclaredExporter, path: str, environ: Mapping[str, str]
) -> tuple[ExportTarget | None, list[Finding]]:
    """Return the endpoint of an exporter in the file; `None` with the findings if it cannot be used, or is not for OTLP."""
    signal = exporter.signal
    if exporter.variables is None:
        detail = f"{path} names {exporter.name}"
        return None, [Finding(kind=findings.NOT_OTLP_EXPORTER, subject=signal.value, detail=detail)]
    read = {**_without_timeouts(environ), **exporter.variables}
    variable, endpoint = find_variable("ENDPOINT", signal.value, read)
    source = path if variable in exporter.variables else variable if endpoint else "default"
    try:
        destination = destination_from_env(read, allow_plaintext=True, signal=signal.value)
    except SettingsError as error:
        in_file = (
            f"{path}, {exporter.name}: {problem.partition(': ')[2]}"
            if problem.partition(": ")[0] in exporter.variables
            else problem
            for problem in error.problems
        )
        is_without_scheme = endpoint is not None and scheme_of(endpoint) is None
        kind = findings.NO_SCHEME if is_without_scheme and exporter.name == "otlp_http" else findings.WRONG_VARIABLE
        return None, [Finding(kind=kind, subject=signal.value, detail=each) for each in in_file]
    return ExportTarget(signal=signal, destination=destination, source=source), []


def _sampler_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    sampler = environ.get("OTEL_TRACES_SAMPLER", "")
    if sampler in _OFF_SAMPLERS:
        subject = TelemetrySignal.TRACES.value
        yield Finding(kind=findings.NOT_SAMPLED, subject=subject, detail=f"OTEL_TRACES_SAMPLER is {sampler}")


def _selection_findings(signal: TelemetrySignal, selection: Selection, environ: Mapping[str, str]) -> Iterator[Finding]:
    for problem in selection.problems:
        yield Finding(kind=findings.WRONG_VARIABLE, subject=signal.value, detail=problem)
    for exporter in selection.exporters:
        if exporter.name not in _PROTOCOLS:
            detail = f"{signal.exporter_variable} names {exporter.name}"
            yield Finding(kind=findings.NOT_OTLP_EXPORTER, subject=signal.value, detail=detail)
    if not selection.exporters and not selection.problems:
        detail = f"{signal.exporter_variable} is {environ.get(signal.exporter_variable, '')}"
        yield Finding(kind=findings.NOT_EXPORTED, subject=signal.value, detail=detail)


def _target(
    signal: TelemetrySignal, exporter: EntryPoint, environ: Mapping[str, str], settings: Settings
) -> tuple[ExportTarget | None, list[Finding]]:
    """Return the endpoint of an exporter; `None` with the findings if it cannot be used."""
    variable, endpoint = find_variable("ENDPOINT", signal.value, environ)
    # The outbox sends log records and spans, and reads the environment itself.
    is_outbox = signal is not TelemetrySignal.METRICS and settings.outbox is not None
    read = environ if is_outbox else _as_the_exporter_reads(signal, exporter, environ)
    problems = [] if is_outbox else [problem for problem in [endpoint_problem(exporter, signal, environ)] if problem]
    destination = None
    try:
        destination = destination_from_env(
            read, allow_plaintext=not is_outbox or settings.outbox_allow_plaintext, signal=signal.value
        )
    except SettingsError as error:
        # If both checks find the same mistake, the message of the exporter's check is kept, because it names the signal.
        problems += [each for each in error.problems if not (problems and each.startswith(f"{variable}:"))]
    if problems or destination is None:
        return None, [_problem(signal, problem, variable, endpoint) for problem in problems]
    return ExportTarget(signal=signal, destination=destination, source=variable if endpoint else "default"), []


def _as_the_exporter_reads(signal: TelemetrySignal, exporter: EntryPoint, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as one of the SDK's exporters reads it.

    Its protocol is the exporter's own, which the environment may select by name instead of by ``…_PROTOCOL``. It has no timeouts: the SDK's
    exporters read them as seconds, but the specification and the outbox as milliseconds.
    """
    read = _without_timeouts(environ)
    read[f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_PROTOCOL"] = _PROTOCOLS[exporter.name]
    return read


def _without_timeouts(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if not name.endswith("_TIMEOUT")}


def _problem(signal: TelemetrySignal, problem: str, variable: str, endpoint: str | None) -> Finding:
    kind = findings.WRONG_VARIABLE
    if endpoint is not None and problem.startswith(f"{variable}:"):
        if scheme_of(endpoint) is None:
            kind = findings.NO_SCHEME
        elif explain_endpoint(endpoint) is not None and variable == COMMON_ENDPOINT:
            kind = findings.PATH_IN_BASE
    return Finding(kind=kind, subject=signal.value, detail=problem)
