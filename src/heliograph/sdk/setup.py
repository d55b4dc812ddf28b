"""The set-up of OpenTelemetry's global providers with the SDK, for each signal that has none yet.

The SDK's own configurator was rejected: it is private, it replaces all providers or none (if one is set already, it leaves a
thread running that exports nothing), and it exports nothing if no exporter is named. So the providers are built here
from the SDK's public classes, which read samplers, limits and intervals from the environment themselves.

Everything is checked and built before the first provider is set: OpenTelemetry lets a process set each provider only once.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from typing_extensions import assert_never

from heliograph.errors import SettingsError
from heliograph.runtime.fork_lock import ForkLock
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk import declarative
from heliograph.sdk.counting_provider import CountingProvider
from heliograph.sdk.explained_exporters import endpoint_problem
from heliograph.sdk.exporters import Selection, TelemetrySignal, select
from heliograph.sdk.global_providers import current_provider, find_provider, is_set, set_provider
from heliograph.sdk.outboxes import outbox_processors, problems_of_outbox, warn_of_unused_outbox
from heliograph.sdk.pipelines import Pipeline, build_pipeline
from heliograph.sdk.provider_use import ProviderUse
from heliograph.sdk.signal_providers import CountingLoggerProvider, CountingMeterProvider, CountingTracerProvider
from heliograph.semconv import SCOPE
from heliograph.settings import Settings
from heliograph.telemetry.missing_providers import CONFIG_FILE
from heliograph.telemetry.otel_api import entry_points
from heliograph.telemetry.providers import is_disabled

if TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxProcessor

logger: Final = SafeLogger(SCOPE)

ID_GENERATOR_VARIABLE: Final = "OTEL_PYTHON_ID_GENERATOR"
ID_GENERATORS: Final = "opentelemetry_id_generator"
"""The group of the entry points of id generators."""

_PARTS: Final[Mapping[str, str]] = {ID_GENERATOR_VARIABLE: ID_GENERATORS}
"""The variables that name a part of a provider, and the groups of its entry points."""
_PROVIDER_PARTS: Final[Mapping[str, str]] = {
    f"OTEL_PYTHON_{kind.upper()}_PROVIDER": f"opentelemetry_{kind}_provider" for kind in ("tracer", "logger", "meter")
}
"""The same for whole providers. With a wrong name, every access to the global provider raises."""
_VARIABLES: Final[Mapping[TelemetrySignal, tuple[str, ...]]] = {
    TelemetrySignal.TRACES: ("OTEL_TRACES_", "OTEL_BSP_", "OTEL_SPAN_"),
    TelemetrySignal.LOGS: ("OTEL_LOGS_", "OTEL_BLRP_", "OTEL_LOGRECORD_"),
    TelemetrySignal.METRICS: ("OTEL_METRICS_", "OTEL_METRIC_"),
}
"""The beginnings of the variables that the SDK reads for one signal alone."""

_ROOT_SAMPLERS: Final = ("always_on", "always_off", "traceidratio")
_SAMPLERS: Final = (*_ROOT_SAMPLERS, *(f"parentbased_{name}" for name in _ROOT_SAMPLERS))
"""The samplers of the SDK."""

_set_up_lock: Final = ForkLock()
"""Held while providers are looked at and set. Otherwise two threads could create two providers of a signal, or two pipelines of one."""


def set_up_providers(
    environ: Mapping[str, str],
    *signals: TelemetrySignal,
    service_name: str | None = None,
    settings: Settings | None = None,
    warned: Collection[TelemetrySignal] = (),
) -> list[ProviderUse]:
    """Create the global provider of each signal that has none, and set it. A provider that is set stays as it is.

    A provider that was created here before is used again. If its pipeline has ended, it gets a new one.

    Args:
        environ: The environment, which selects exporters and protocol. (The SDK's classes read the environment of the process.)
        signals: The signals.
        service_name: The service's name, if the environment contains none.
        settings: The host's settings. With an outbox, it replaces the OTLP exporters of log records and spans.
        warned: Signals that do not go to the outbox, about which the caller itself logs a warning.

    Returns:
        The uses of the providers that were created here, now or before. The caller has to end them. An empty list if a file
        of ``OTEL_CONFIG_FILE`` sets the providers.

    Raises:
        SettingsError: The environment cannot be used; it lists every problem, and no provider was set.
        OutboxError: The outbox cannot be used; no provider was set.
    """
    if is_disabled(environ):
        return []
    if problems := _problems_of_entry_points(environ, _PROVIDER_PARTS):
        raise SettingsError(problems)
    with _set_up_lock:
        if file := environ.get(CONFIG_FILE):
            if unset := [signal for signal in signals if not is_set(signal)]:
                declarative.set_up_from_file(file, unset)
            warn_of_unused_outbox(settings, {*signals} - {*warned})
            return []
        # They are in use from here on: the pipelines that are found below do not end with another host.
        uses = {signal: ProviderUse(signal, provider) for signal, provider in _existing_providers(signals).items()}
        try:
            new = _set_up_missing(environ, signals, uses, service_name=service_name, settings=settings, warned=warned)
        except BaseException:
            for use in uses.values():
                use.cancel()
            raise
        uses |= {signal: ProviderUse(signal, provider) for signal, provider in new.items()}
        return [uses[signal] for signal in signals if signal in uses]


def _set_up_missing(
    environ: Mapping[str, str],
    signals: Sequence[TelemetrySignal],
    uses: Mapping[TelemetrySignal, ProviderUse],
    *,
    service_name: str | None,
    settings: Settings | None,
    warned: Collection[TelemetrySignal],
) -> dict[TelemetrySignal, CountingProvider]:
    """Open a pipeline in each provider in use that has none, and set new providers for signals without one.

    Returns:
        The new providers.

    Raises:
        SettingsError: The environment cannot be used; it lists every problem.
        OutboxError: The outbox cannot be used.
    """
    existing = {signal: use.provider for signal, use in uses.items()}
    selections = _select_missing(environ, signals, existing)
    if problems := _problems(environ, selections):
        raise SettingsError([*problems, *problems_of_outbox(environ, None if settings is None else settings.outbox)])
    unwanted = {signal for signal in signals if signal.is_unwanted(environ)}
    warn_of_unused_outbox(settings, {*signals} - selections.keys() - unwanted - {*warned})
    outboxes: dict[TelemetrySignal, OutboxProcessor] = {}
    if settings is not None and settings.outbox is not None:
        outboxes = outbox_processors(environ, selections, settings)
    new: dict[TelemetrySignal, CountingProvider] = {}
    for signal, (provider, pipeline) in _build(selections, existing, create_resource(service_name), outboxes).items():
        provider.open(pipeline)
        if signal not in existing:
            set_provider(signal, provider)
            new[signal] = provider
    return new


def move_spans_to_outbox(environ: Mapping[str, str], settings: Settings) -> None:
    """Send the spans of a provider that was created here to the outbox from now on, if the settings name one and OTLP exports spans.

    Datasette's first spans end before its settings are known. They stay with the exporter that they were given to.

    Raises:
        SettingsError: The environment cannot be used; it lists every problem.
        OutboxError: The outbox cannot be used.
    """
    provider = find_provider(TelemetrySignal.TRACES)
    if settings.outbox is None or not isinstance(provider, CountingTracerProvider):
        return
    with _set_up_lock:
        former = provider.pipeline
        if former is None or former.has_outbox:
            return
        selection = select(TelemetrySignal.TRACES, environ)
        for signal, outbox in outbox_processors(environ, {TelemetrySignal.TRACES: selection}, settings).items():
            provider.open(replace(build_pipeline(signal, selection, outbox=outbox), former=former))


def problems_of_environment(environ: Mapping[str, str], *signals: TelemetrySignal) -> list[str]:
    """Return a message for each variable by which `set_up_providers` cannot create the providers that are missing.

    The file of ``OTEL_CONFIG_FILE`` is not read.
    """
    if is_disabled(environ) or environ.get(CONFIG_FILE):
        return []
    return _problems_of_entry_points(environ, _PROVIDER_PARTS) or _problems(
        environ, _select_missing(environ, signals, _existing_providers(signals))
    )


def _existing_providers(signals: Iterable[TelemetrySignal]) -> dict[TelemetrySignal, CountingProvider]:
    """Return the providers that were created here before."""
    found = {signal: current_provider(signal) for signal in signals}
    return {signal: provider for signal, provider in found.items() if isinstance(provider, CountingProvider)}


def _select_missing(
    environ: Mapping[str, str], signals: Sequence[TelemetrySignal], existing: Mapping[TelemetrySignal, CountingProvider]
) -> dict[TelemetrySignal, Selection]:
    """Return the exporters for each signal that has no provider, or one that was created here and whose pipeline has ended."""
    missing = [
        signal
        for signal in signals
        if (existing[signal].pipeline is None if signal in existing else not is_set(signal))
    ]
    return {signal: select(signal, environ) for signal in missing}


def _problems(environ: Mapping[str, str], selections: Mapping[TelemetrySignal, Selection]) -> list[str]:
    """Return a message for each variable that cannot be used."""
    problems = [problem for selection in selections.values() for problem in selection.problems]
    problems += [
        problem
        for signal, selection in selections.items()
        for exporter in selection.exporters
        if (problem := endpoint_problem(exporter, signal, environ)) is not None
    ]
    # Each once: a wrong protocol of the common variable is a problem of every signal.
    return list(dict.fromkeys([*_problems_of_entry_points(environ, _PARTS), *problems]))


def _build(
    selections: Mapping[TelemetrySignal, Selection],
    existing: Mapping[TelemetrySignal, CountingProvider],
    resource: Resource,
    outboxes: Mapping[TelemetrySignal, OutboxProcessor],
) -> dict[TelemetrySignal, tuple[CountingProvider, Pipeline]]:
    """Return a pipeline for each signal, with the provider that it is for: the one that is set, or a new one."""
    built: dict[TelemetrySignal, tuple[CountingProvider, Pipeline]] = {}
    problems = []
    for signal, selection in selections.items():
        try:
            provider = existing.get(signal) or _new_provider(signal, resource)
            kept = getattr(provider, "kept", ())
            built[signal] = (provider, build_pipeline(signal, selection, outbox=outboxes.get(signal), kept=kept))
        except Exception as error:
            # The SDK's classes read variables too, and a wrong one may raise anything.
            problems.append(f"{signal.value} cannot be exported: {error}{_suspected_variables(signal, str(error))}")
    if problems:
        for _, pipeline in built.values():
            pipeline.discard()
        for outbox in outboxes.values():
            # The pipeline that would own it may be the one that failed.
            outbox.shutdown(0)
        raise SettingsError(problems)
    return built


def _suspected_variables(signal: TelemetrySignal, message: str) -> str:
    """Return the variables that may have caused an error of the SDK, which often names an argument and no variable."""
    names = [] if "OTEL_" in message else sorted(each for each in os.environ if each.startswith(_VARIABLES[signal]))
    return f" ({', '.join(names)})" if names else ""


def _new_provider(signal: TelemetrySignal, resource: Resource) -> CountingProvider:
    match signal:
        case TelemetrySignal.TRACES:
            _warn_of_sampler(os.environ)
            return CountingTracerProvider(resource=resource, shutdown_on_exit=False, id_generator=_id_generator())
        case TelemetrySignal.LOGS:
            return CountingLoggerProvider(resource=resource, shutdown_on_exit=False)
        case TelemetrySignal.METRICS:
            return CountingMeterProvider(resource=resource, shutdown_on_exit=False)
        case _:
            assert_never(signal)


def _warn_of_sampler(environ: Mapping[str, str]) -> None:
    """Log a warning if no sampler has the name in the environment. The SDK then takes its default, as the specification says."""
    name = environ.get(OTEL_TRACES_SAMPLER, "")
    if not name:
        return
    known = {*_SAMPLERS, *entry_points(group="opentelemetry_traces_sampler").names}
    if name.lower() not in known and name not in known:
        names = ", ".join(sorted(known))
        logger.warning("%s: no sampler %r is installed; use one of: %s.", OTEL_TRACES_SAMPLER, name, names)


def create_resource(service_name: str | None) -> Resource:
    """Return the resource of the environment, with this service's name if the environment contains none."""
    resource = Resource.create()
    if service_name and str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: service_name}))
    return resource


def _id_generator() -> IdGenerator | None:
    name = os.environ.get(ID_GENERATOR_VARIABLE)
    found = entry_points(group=ID_GENERATORS, name=name) if name else ()
    generators: list[IdGenerator] = [entry_point.load()() for entry_point in found]
    return next(iter(generators), None)


def _problems_of_entry_points(environ: Mapping[str, str], groups: Mapping[str, str]) -> list[str]:
    """Return a message for each variable that names a part which is not installed."""
    problems = []
    for variable, group in groups.items():
        name = environ.get(variable)
        if name and name not in (known := sorted(entry_points(group=group).names)):
            part = group.removeprefix("opentelemetry_").replace("_", " ")
            problems.append(f"{variable}: no {part} {name!r} is installed; use one of: {', '.join(known)}")
    return problems
