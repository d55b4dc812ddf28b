"""`configure`: a host and the OpenTelemetry providers of the process, set up from the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Final

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from heliograph.host import Host
from heliograph.instrumentation import problems_of
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, settings_or_environment
from heliograph.telemetry.otel_api import NoOpLoggerProvider
from heliograph.telemetry.providers import is_disabled

logger: Final = SafeLogger(SCOPE)


def configure(
    settings: Settings | None = None,
    *,
    plugins: Iterable[object] = (),
    events: Iterable[type] = (),
    databases: Mapping[str, str | PathLike[str]] | None = None,
) -> Host:
    """Return a host whose telemetry is exported as the standard ``OTEL_*`` variables say.

    Each global provider of OpenTelemetry (traces, logs, metrics) that is not set yet is created and set, with the
    specification's defaults: OTLP over HTTP to ``http://localhost:4318``. A provider that is set is used, and never
    replaced.

    `Host.shutdown` ends their exporters. It is called at exit if the program has not called it; the exit then takes no longer than
    the setting ``flush_timeout_millis``. When the host is entered again, or another one is configured, they get new ones.
    Telemetry that is emitted in between is lost: the first of it is logged, and the next flush returns False.

    One line of level INFO says where each signal goes. Python shows it once the program sets up its logging for that level.

    Args:
        settings: See `Host`.
        plugins: See `Host`.
        events: See `Host`.
        databases: See `Host`.

    Raises:
        SettingsError: The environment cannot be used; it lists every problem.
        PluginError: A plugin cannot be loaded or registered, or its hook ``register_events`` failed.
        SchemaError: No schema can be compiled for an event class; it lists all of them.
        OutboxError: The directory of the setting ``outbox`` cannot be used.
    """
    # Imported here, so that `import heliograph` does not import the SDK: a program with its own providers may not need it.
    from heliograph.runtime.at_exit import AtExit
    from heliograph.sdk.outboxes import problems_of_outbox
    from heliograph.sdk.routes import describe, find_routes
    from heliograph.sdk.setup import problems_of_environment, set_up_providers

    def problems(values: Mapping[str, object]) -> list[str]:
        return [*problems_of(values), *problems_of_environment(os.environ, *TelemetrySignal)]

    settings = settings_or_environment(
        settings, problems, lambda values: problems_of_outbox(os.environ, values.get("outbox"))
    )
    if is_disabled(os.environ):
        logger.log(logging.INFO, "heliograph exports nothing: OTEL_SDK_DISABLED is set.")
        return Host(
            settings,
            plugins=plugins,
            events=events,
            databases=databases,
            tracer_provider=NoOpTracerProvider(),
            logger_provider=NoOpLoggerProvider(),
            meter_provider=NoOpMeterProvider(),
        )
    host = Host(settings, plugins=plugins, events=events, databases=databases)

    def set_up() -> None:
        for use in set_up_providers(os.environ, *TelemetrySignal, settings=settings):
            host.at_shutdown(use.shutdown)
        at_exit = AtExit(host.shutdown, settings.flush_timeout_millis, in_children=host.flush)
        host.at_shutdown(lambda _: at_exit.cancel())

    set_up()
    host.at_restart(set_up)
    logger.log(logging.INFO, "%s", describe(find_routes(settings.outbox)))
    return host
