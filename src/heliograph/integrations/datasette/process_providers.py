"""The providers of a process that runs Datasette: made where the environment asks for them, and nobody else does it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Final

from heliograph.sdk.exporters import TelemetrySignal, asks_for_export
from heliograph.semconv import SCOPE
from heliograph.settings import Settings
from heliograph.telemetry.providers import Providers

if TYPE_CHECKING:
    from heliograph.sdk.setup import OwnedProvider

SERVICE_NAME: Final = "datasette"

TRACE_SIBLINGS: Final = ("datasette-otel-otlp-exporter", "datasette-otel-viewer", "datasette-otel-file-exporter")
"""The plugins that set a TracerProvider when they are imported, before or after this one."""

logger: Final = logging.getLogger(SCOPE)


class ProcessProviders:
    """Sets providers up in two steps, since Datasette's own spans begin before any hook does.

    Args:
        environ: The environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._owned: list[OwnedProvider] = []
        self._exit_is_set = False

    def set_up_at_import(self) -> None:
        """Set a TracerProvider, unless a plugin that brings one is about to be loaded, or was.

        What goes wrong goes wrong again in `set_up_at_startup`, and is told then: raised here, it would take
        ``datasette --version`` down too.
        """
        if not any(_is_loaded(name, self._environ) for name in TRACE_SIBLINGS):
            with contextlib.suppress(Exception):
                self._set_up(TelemetrySignal.TRACES)

    def set_up_at_startup(self, settings: Settings | None = None) -> None:
        """Set the providers that are missing still, once every plugin was imported.

        Args:
            settings: Those of the plugin, where they are known; an outbox in them asks for export, too.

        Raises:
            SettingsError: Every problem of the environment, at once.
            OutboxError: The outbox cannot be used.
        """
        self._set_up(*TelemetrySignal, settings=settings)

    def shut_down_at_exit(self, timeout_millis: int) -> None:
        """When the interpreter ends, flush and shut down what was made here, within the time."""
        if self._owned and not self._exit_is_set:
            from heliograph.runtime.at_exit import AtExit  # see _set_up

            self._exit_is_set = True
            AtExit(lambda: self._shutdown(timeout_millis), timeout_millis)

    def _set_up(self, *signals: TelemetrySignal, settings: Settings | None = None) -> None:
        has_outbox = settings is not None and settings.outbox is not None
        if has_outbox or asks_for_export(self._environ):
            from heliograph.sdk.setup import set_up_providers  # a Datasette that exports nothing needs no SDK

            self._owned += set_up_providers(self._environ, *signals, service_name=SERVICE_NAME, settings=settings)

    def _shutdown(self, timeout_millis: float) -> None:
        flush(timeout_millis)
        for owned in self._owned:
            owned.shutdown(timeout_millis)


def flush(timeout_millis: float) -> None:
    """Have the global providers send what they hold, within the time; what was not delivered is told in a warning."""
    if not Providers().force_flush(timeout_millis):
        logger.warning("Not all telemetry was delivered within %d ms; what is left may be lost.", timeout_millis)


def _is_loaded(name: str, environ: Mapping[str, str]) -> bool:
    """Whether Datasette loads the plugin: it is installed, and not left out by Datasette's own variable."""
    chosen = environ.get("DATASETTE_LOAD_PLUGINS")
    if chosen is not None and name not in {each.strip().lower().replace("_", "-") for each in chosen.split(",")}:
        return False
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
