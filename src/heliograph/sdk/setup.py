"""The set-up of OpenTelemetry's global providers with the SDK, for each signal that has none yet.

The SDK's own configurator was rejected: it is private, it replaces all providers or none (if one is set already, it leaves a
thread running that exports nothing), and it exports nothing if no exporter is named. So the providers are built here
from the SDK's public classes, which read samplers, limits and intervals from the environment themselves.

Everything is checked and built before the first provider is set: OpenTelemetry lets a process set each provider only once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import get_meter_provider, set_meter_provider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import get_tracer_provider, set_tracer_provider
from typing_extensions import assert_never

from heliograph.delivery.transport.environment import destination_from_env
from heliograph.errors import SettingsError
from heliograph.runtime.deadline import run_within
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk import declarative
from heliograph.sdk.explained import create_exporter, endpoint_problem
from heliograph.sdk.export_counts import (
    CountingBatchLogRecordProcessor,
    CountingBatchSpanProcessor,
    CountingLoggerProvider,
    CountingMeterProvider,
    CountingTracerProvider,
    run_flush,
)
from heliograph.sdk.exporters import OTLP_BY_PROTOCOL, Selection, TelemetrySignal, select
from heliograph.semconv import SCOPE
from heliograph.settings import OutboxSync, Settings, Validation
from heliograph.telemetry.otel_api import get_logger_provider, set_logger_provider
from heliograph.telemetry.providers import Providers, is_disabled

if TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxLogRecordProcessor

logger: Final = SafeLogger(SCOPE)

ID_GENERATOR_VARIABLE: Final = "OTEL_PYTHON_ID_GENERATOR"
ID_GENERATORS: Final = "opentelemetry_id_generator"
"""The group of the entry points of id generators."""

_NO_OUTBOX: Final = (
    "The LoggerProvider of this process is set elsewhere, so the setting `outbox` has no effect. To use it, add an "
    "OutboxLogRecordProcessor to that provider."
)

_GRACE_MILLIS: Final = 100.0
"""The shortest time that a shutdown gets, so that connections are closed even if the caller's deadline has passed."""


@dataclass(frozen=True)
class OwnedProvider:
    """A provider that was created here, and so has to be shut down here.

    Attributes:
        provider: The provider.
        stops: Functions that make its exporters end at once, without delivering what they hold.
    """

    provider: CountingTracerProvider | CountingLoggerProvider | CountingMeterProvider
    stops: tuple[Callable[[], object], ...]

    def shutdown(self, timeout_millis: float) -> bool:
        """Flush the provider and shut it down. Return True if this ended in time and everything was delivered.

        If no time is left, its exporters are stopped first, so that they do not wait for a server or try again.
        """
        if timeout_millis < _GRACE_MILLIS:
            for stop in self.stops:
                run_within(_GRACE_MILLIS, stop)
        return run_within(max(_GRACE_MILLIS, timeout_millis), self._shutdown) is True

    def _shutdown(self) -> bool:
        def end() -> bool:
            self.provider.is_shut_down = True
            self.provider.shutdown()
            return True

        return run_flush(self.provider.export_counts, end)


def set_up_providers(
    environ: Mapping[str, str],
    *signals: TelemetrySignal,
    service_name: str | None = None,
    settings: Settings | None = None,
) -> list[OwnedProvider]:
    """Create the global provider of each signal that has none, and set it. A provider that is set stays as it is.

    Args:
        environ: The environment, which selects exporters and protocol. (The SDK's classes read that of the process.)
        signals: The signals.
        service_name: The service's name, if the environment contains none.
        settings: The host's settings. With an outbox, it replaces the OTLP exporter of the logs.

    Returns:
        The providers that were created. The caller has to shut them down. None if a file of ``OTEL_CONFIG_FILE`` sets them.

    Raises:
        SettingsError: The environment cannot be used; it lists every problem, and no provider was set.
        OutboxError: The outbox cannot be used; no provider was set.
    """
    if is_disabled(environ):
        return []
    _warn_about_shut_down_providers()
    missing = _missing(signals)
    if file := environ.get(declarative.VARIABLE):
        if missing:
            declarative.set_up_from_file(file, missing)
        if settings is not None and settings.outbox is not None:
            logger.warning(_NO_OUTBOX)
        return []
    selections = {signal: select(signal, environ) for signal in missing}
    problems = _problems(environ, selections)
    if problems:
        raise SettingsError(problems)
    outbox = None if settings is None else _outbox_processor(environ, selections.get(TelemetrySignal.LOGS), settings)
    built = _build(selections, _resource(service_name), outbox)
    for signal, owned in built.items():
        _SETTERS[signal](owned.provider)
    return list(built.values())


def _missing(signals: Iterable[TelemetrySignal]) -> list[TelemetrySignal]:
    """Return the signals that have no provider yet."""
    providers = Providers()
    is_set = {
        TelemetrySignal.TRACES: providers.has_traces(),
        TelemetrySignal.LOGS: providers.has_logs(),
        TelemetrySignal.METRICS: providers.has_metrics(),
    }
    return [signal for signal in signals if not is_set[signal]]


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
    return list(dict.fromkeys([*_problems_of_id_generator(environ), *problems]))


def _outbox_processor(
    environ: Mapping[str, str], logs: Selection | None, settings: Settings
) -> OutboxLogRecordProcessor | None:
    """Return the outbox's processor, which replaces the OTLP exporter of the logs.

    Returns:
        `None` if the settings name no outbox, if a LoggerProvider is set already, or if the logs are not exported by OTLP.
    """
    if settings.outbox is None:
        return None
    if logs is None:
        logger.warning(_NO_OUTBOX)
        return None
    if not any(exporter.name in OTLP_BY_PROTOCOL.values() for exporter in logs.exporters):
        return None
    from heliograph.delivery.processor import OutboxLogRecordProcessor  # here, because most programs have no outbox

    destination = destination_from_env(environ, allow_plaintext=settings.outbox_allow_plaintext)
    return OutboxLogRecordProcessor(
        settings.outbox,
        destination=destination,
        max_bytes=settings.outbox_max_bytes,
        when_full=settings.outbox_full,
        durable=settings.outbox_sync is OutboxSync.FULL,
        strict=settings.validation is Validation.STRICT,
    )


def _build(
    selections: Mapping[TelemetrySignal, Selection], resource: Resource, outbox: OutboxLogRecordProcessor | None
) -> dict[TelemetrySignal, OwnedProvider]:
    built: dict[TelemetrySignal, OwnedProvider] = {}
    problems = []
    for signal, selection in selections.items():
        try:
            built[signal] = _build_one(signal, selection, resource, outbox)
        except Exception as error:  # the SDK's classes read variables too, and a wrong one may raise anything
            problems.append(f"{signal.value} cannot be exported: {error}")
    if problems:
        for owned in built.values():
            owned.shutdown(0)
        if outbox is not None:
            outbox.shutdown(0)  # the provider that would own it may be the one that failed
        raise SettingsError(problems)
    return built


def _build_one(
    signal: TelemetrySignal, selection: Selection, resource: Resource, outbox: OutboxLogRecordProcessor | None
) -> OwnedProvider:
    match signal:
        case TelemetrySignal.TRACES:
            return _build_traces(selection, resource)
        case TelemetrySignal.LOGS:
            return _build_logs(selection, resource, outbox)
        case TelemetrySignal.METRICS:
            return _build_metrics(selection, resource)
        case _:
            assert_never(signal)


def _warn_about_shut_down_providers() -> None:
    for provider in (get_tracer_provider(), get_logger_provider(), get_meter_provider()):
        if getattr(provider, "is_shut_down", False):
            logger.warning(
                "The %s of this process was shut down with the host that created it, so telemetry of this signal is lost. "
                "OpenTelemetry lets a process set each provider only once: keep one host as long as the process runs.",
                type(provider).__name__.removeprefix("Counting"),
            )


def _resource(service_name: str | None) -> Resource:
    resource = Resource.create()
    if service_name and str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        return resource.merge(Resource({SERVICE_NAME: service_name}))
    return resource


def _build_traces(selection: Selection, resource: Resource) -> OwnedProvider:
    exporters = [create_exporter(each, TelemetrySignal.TRACES) for each in selection.exporters]
    provider = CountingTracerProvider(resource=resource, shutdown_on_exit=False, id_generator=_id_generator())
    provider.export_counts = [exporter.counts for exporter in exporters]
    for exporter in exporters:
        provider.add_span_processor(CountingBatchSpanProcessor(exporter, exporter.counts))
    return OwnedProvider(provider, _stops(exporters))


def _build_logs(selection: Selection, resource: Resource, outbox: OutboxLogRecordProcessor | None) -> OwnedProvider:
    chosen = [each for each in selection.exporters if outbox is None or each.name not in OTLP_BY_PROTOCOL.values()]
    exporters = [create_exporter(each, TelemetrySignal.LOGS) for each in chosen]
    provider = CountingLoggerProvider(resource=resource, shutdown_on_exit=False)
    provider.export_counts = [exporter.counts for exporter in exporters]
    for exporter in exporters:
        provider.add_log_record_processor(CountingBatchLogRecordProcessor(exporter, exporter.counts))
    if outbox is None:
        return OwnedProvider(provider, _stops(exporters))
    provider.add_log_record_processor(outbox)
    return OwnedProvider(provider, (*_stops(exporters), partial(outbox.shutdown, 0)))


def _build_metrics(selection: Selection, resource: Resource) -> OwnedProvider:
    # Some are readers and no exporters, such as Prometheus, which fetches metrics.
    pulled = [each.load() for each in selection.exporters if issubclass(each.load(), MetricReader)]
    pushed = [each for each in selection.exporters if not issubclass(each.load(), MetricReader)]
    exporters = [create_exporter(each, TelemetrySignal.METRICS) for each in pushed]
    readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters]
    provider = CountingMeterProvider(
        metric_readers=[*readers, *(cls() for cls in pulled)], resource=resource, shutdown_on_exit=False
    )
    provider.export_counts = [exporter.counts for exporter in exporters]
    return OwnedProvider(provider, _stops(exporters))


def _stops(exporters: Iterable[Any]) -> tuple[Callable[[], object], ...]:
    return tuple(exporter.shutdown for exporter in exporters)


_SETTERS: Final[Mapping[TelemetrySignal, Callable[[Any], None]]] = {
    TelemetrySignal.TRACES: set_tracer_provider,
    TelemetrySignal.LOGS: set_logger_provider,
    TelemetrySignal.METRICS: set_meter_provider,
}


def _id_generator() -> IdGenerator | None:
    found = entry_points(group=ID_GENERATORS, name=os.environ.get(ID_GENERATOR_VARIABLE, ""))
    generators: list[IdGenerator] = [entry_point.load()() for entry_point in found]
    return next(iter(generators), None)


def _problems_of_id_generator(environ: Mapping[str, str]) -> list[str]:
    name, known = environ.get(ID_GENERATOR_VARIABLE), entry_points(group=ID_GENERATORS).names
    if not name or name in known:
        return []
    return [f"{ID_GENERATOR_VARIABLE}: no id generator {name!r} is installed; use one of: {', '.join(sorted(known))}"]
