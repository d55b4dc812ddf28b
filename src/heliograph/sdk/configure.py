"""A host, with providers from the environment, for a program that owns its process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from os import PathLike

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

from heliograph.host import Host
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.settings import Settings
from heliograph.telemetry.otel_api import NoOpLoggerProvider


def configure(
    settings: Settings | None = None,
    *,
    plugins: Iterable[object] = (),
    databases: Mapping[str, str | PathLike[str]] | None = None,
) -> Host:
    """A host whose telemetry goes where the standard ``OTEL_*`` variables say.

    Each provider of OpenTelemetry that is not set yet is made, with the specification's defaults (OTLP over HTTP to
    ``http://localhost:4318``), and set; one that is set is joined, and never replaced. The host's `shutdown` shuts down
    those that were made here; when the interpreter ends without it, it is called, and its deadline holds.

    Args:
        settings: See `Host`.
        plugins: See `Host`.
        databases: See `Host`.

    Raises:
        SettingsError: Every problem of the environment, at once.
        OutboxError: The setting ``outbox`` names a directory that cannot be used.
    """
    # importing heliograph imports no SDK: who brings providers of their own need not have it in memory
    from heliograph.runtime.at_exit import AtExit
    from heliograph.sdk.setup import is_disabled, set_up_providers

    settings = Settings.from_env() if settings is None else settings
    if is_disabled(os.environ):
        return Host(
            settings,
            plugins=plugins,
            databases=databases,
            tracer_provider=NoOpTracerProvider(),
            logger_provider=NoOpLoggerProvider(),
            meter_provider=NoOpMeterProvider(),
        )
    host = Host(settings, plugins=plugins, databases=databases)
    for owned in set_up_providers(os.environ, *TelemetrySignal, settings=settings):
        host.at_shutdown(owned.shutdown)
    at_exit = AtExit(host.shutdown, settings.flush_timeout_millis)
    host.at_shutdown(lambda _: at_exit.cancel())
    return host
