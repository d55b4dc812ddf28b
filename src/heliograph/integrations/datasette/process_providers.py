"""Set OpenTelemetry's global providers in a process that runs Datasette, if the environment asks for export."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Final

import click

from heliograph.runtime.deadline import Deadline
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.semconv import SCOPE
from heliograph.settings import Settings
from heliograph.telemetry.missing_providers import variable_that_asks_for_export
from heliograph.telemetry.providers import Providers, is_disabled

if TYPE_CHECKING:
    from pathlib import Path

    from heliograph.sdk.provider_use import ProviderUse

SERVICE_NAME: Final = "datasette"
"""The service's name, if the environment contains none."""

TRACE_EXPORTER: Final = "datasette-otel-otlp-exporter"
"""The plugin that sets a TracerProvider whose spans go to the OTLP endpoint."""

TRACE_SIBLINGS: Final = (TRACE_EXPORTER, "datasette-otel-viewer", "datasette-otel-file-exporter")
"""The plugins that set a TracerProvider when they are imported, which may be before or after this one."""

_NOT_AT_ENDPOINT: Final = (
    "Spans, and the events in them, go to %s and not to an OTLP endpoint, because a process has one TracerProvider. "
    f"To export them, install {TRACE_EXPORTER}, or list the plugins to load in DATASETTE_LOAD_PLUGINS without %s. If this is "
    "intended, set OTEL_TRACES_EXPORTER=none."
)
"""The warning for a sibling that keeps spans from the endpoint."""
_NOT_IN_OUTBOX: Final = (
    "Spans, and the events in them, go to %s and not to an OTLP endpoint, nor to the outbox, because a process has one "
    "TracerProvider. To export them by the outbox, list the plugins to load in DATASETTE_LOAD_PLUGINS without %s. If this is "
    "intended, set OTEL_TRACES_EXPORTER=none."
)
"""The same for one that keeps them from the outbox, too."""

COMMAND_MILLIS: Final = 1000
"""The longest time for which a command that is not a server waits for the backend: with its start, it ends within two seconds."""

logger: Final = SafeLogger(SCOPE)


class ProcessProviders:
    """Sets the global providers in two steps, because Datasette's first spans begin before any hook runs.

    Threads: all methods are called in the main thread, one after the other, except `_shutdown`, which `AtExit` calls in its own
    thread when the process exits.

    Args:
        environ: The environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._uses: list[ProviderUse] = []
        self._exit_is_set = False
        # The time that the last server took to stop. The exit has the rest of the timeout.
        self._spent_millis = 0.0

    def set_up_at_import(self) -> None:
        """Set a TracerProvider, unless Datasette loads a plugin that sets one.

        Errors are ignored, because they would break commands such as ``datasette --version``. `set_up_at_startup` finds
        the same problem again, and raises it.
        """
        if not any(is_loaded(name, self._environ) for name in TRACE_SIBLINGS):
            with contextlib.suppress(Exception):
                self._set_up(TelemetrySignal.TRACES)

    def set_up_at_startup(self, settings: Settings | None = None) -> None:
        """Set the providers that are still missing, after every plugin has been imported.

        Args:
            settings: The plugin's settings, if they could be read. An outbox in them asks for export, too.

        Raises:
            SettingsError: The environment cannot be used; it lists every problem.
            OutboxError: The outbox cannot be used.
        """
        self._spent_millis = 0.0
        has_outbox = settings is not None and settings.outbox is not None
        owner = sibling_that_takes_spans(self._environ, has_outbox=has_outbox)
        warned = () if owner is None else (TelemetrySignal.TRACES,)
        self._set_up(*TelemetrySignal, settings=settings, warned=warned)
        if owner is not None:
            logger.warning(_NOT_IN_OUTBOX if has_outbox else _NOT_AT_ENDPOINT, owner, owner)
        self._log_routes(None if settings is None else settings.outbox)

    def note_shutdown(self, spent_millis: float) -> None:
        """Note the time that a server took to stop, which counts for the exit of the process, too.

        Otherwise a process whose backend is unreachable would wait for it twice.
        """
        self._spent_millis = spent_millis

    def shut_down_at_exit(self, timeout_millis: int) -> None:
        """When the interpreter exits, flush all providers and shut down those set here, within the timeout.

        The timeout is for this and for the stop of the last server together. For a person who waits for a command such as
        ``datasette create-token``, it is `COMMAND_MILLIS` at most.
        """
        if is_short_command():
            timeout_millis = min(timeout_millis, COMMAND_MILLIS)
        if self._uses and not self._exit_is_set:
            # Imported here, because a plugin that exports nothing does not need it.
            from heliograph.runtime.at_exit import AtExit

            self._exit_is_set = True
            AtExit(self._shutdown, timeout_millis, in_children=lambda: flush(Deadline(timeout_millis)))

    def _set_up(
        self,
        *signals: TelemetrySignal,
        settings: Settings | None = None,
        warned: Collection[TelemetrySignal] = (),
    ) -> None:
        has_outbox = settings is not None and settings.outbox is not None
        if has_outbox or variable_that_asks_for_export(self._environ):
            # Imported here, because without export no SDK is needed.
            from heliograph.sdk.setup import (
                move_spans_to_outbox,
                set_up_providers,
            )

            in_use = {each.signal for each in self._uses}
            missing = [signal for signal in signals if signal not in in_use]
            self._uses += set_up_providers(
                self._environ, *missing, service_name=SERVICE_NAME, settings=settings, warned=warned
            )
            if settings is not None and TelemetrySignal.TRACES in in_use:
                move_spans_to_outbox(self._environ, settings)

    def _log_routes(self, outbox: Path | None) -> None:
        """Log one line of level INFO that says where each signal goes."""
        if is_disabled(self._environ):
            text = "heliograph exports nothing: OTEL_SDK_DISABLED is set."
        elif Providers().has_any():
            # Imported here, because without providers no SDK is needed.
            from heliograph.sdk.routes import describe, find_routes

            text = describe(find_routes(outbox, owner_names(self._environ)))
        else:
            text = "heliograph exports nothing: no OTEL_* variable names an endpoint or an exporter."
        logger.log(logging.INFO, "%s", text)

    def _shutdown(self, timeout_millis: float) -> None:
        deadline = Deadline(timeout_millis - self._spent_millis)
        # Without any time left, the flush of the server has failed, and has logged a warning.
        if deadline.remaining() > 0:
            flush(deadline)
        for use in self._uses:
            use.shutdown(deadline.remaining())


def sibling_that_takes_spans(environ: Mapping[str, str], *, has_outbox: bool = False) -> str | None:
    """Return the plugin that keeps spans from an outbox, or from an endpoint that the environment names; `None` if there is none."""
    asks = has_outbox or variable_that_asks_for_export(environ)
    if not asks or TelemetrySignal.TRACES.is_unwanted(environ):
        return None
    if is_disabled(environ) or is_loaded(TRACE_EXPORTER, environ):
        return None
    return owner_names(environ).get(TelemetrySignal.TRACES)


def owner_names(environ: Mapping[str, str]) -> dict[TelemetrySignal, str]:
    """Return the plugin that sets the TracerProvider, if one is installed that does."""
    owner = next((name for name in TRACE_SIBLINGS if is_loaded(name, environ)), None)
    return {} if owner is None else {TelemetrySignal.TRACES: owner}


def is_short_command() -> bool:
    """Return True if this process runs one of Datasette's commands, and not its server."""
    context = click.get_current_context(silent=True)
    # Not imported for this: if another program runs Datasette, its commands are its own matter.
    module = sys.modules.get("datasette.cli")
    if context is None or module is None or context.find_root().command is not module.cli:
        return False
    return context.command is not module.serve


def flush(deadline: Deadline) -> None:
    """Let the global providers send what they hold, by the deadline, and log a warning if not all was delivered."""
    if not Providers().force_flush(deadline.remaining()):
        logger.warning(
            "Not all telemetry was delivered within %d ms; the rest may be lost. Check that the backend is reachable.",
            deadline.timeout_millis,
        )


def is_loaded(name: str, environ: Mapping[str, str]) -> bool:
    """Return True if the plugin is installed, and ``DATASETTE_LOAD_PLUGINS`` does not exclude it."""
    chosen = environ.get("DATASETTE_LOAD_PLUGINS")
    if chosen is not None and name not in {each.strip().lower().replace("_", "-") for each in chosen.split(",")}:
        return False
    try:
        distribution(name)
    except PackageNotFoundError:  # pragma: no cover — the tests install every sibling
        return False
    return True
