"""The outbox of a program, for each signal that it can hold and that OTLP exports. Most programs have none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import NoOpTracerProvider

from heliograph.delivery.transport.environment import destination_from_env
from heliograph.errors import OutboxError, SettingsError
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.exporters import OTLP_BY_PROTOCOL, Selection, TelemetrySignal
from heliograph.sdk.global_providers import find_provider
from heliograph.semconv import SCOPE
from heliograph.settings import OutboxSync, Settings, Validation
from heliograph.telemetry.otel_api import NoOpLoggerProvider
from heliograph.telemetry.providers import is_disabled

if TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxProcessor
    from heliograph.delivery.transport.destination import Destination

logger: Final = SafeLogger(SCOPE)

_NO_OP_PROVIDERS: Final = (NoOpLoggerProvider, NoOpTracerProvider)
_OTLP_EXPORTERS: Final = frozenset(OTLP_BY_PROTOCOL.values())
_NO_OUTBOX: Final = (
    "The %s of this process is set elsewhere, so the setting `outbox` has no effect on %s; to store them, call "
    "`provider.%s(%s(%r))` with the processor from `heliograph`."
)
_ADD_TO_PROVIDER: Final[Mapping[TelemetrySignal, tuple[str, str, str, str]]] = {
    TelemetrySignal.LOGS: (
        "LoggerProvider",
        "log records",
        "add_log_record_processor",
        "OutboxLogRecordProcessor",
    ),
    TelemetrySignal.TRACES: ("TracerProvider", "spans", "add_span_processor", "OutboxSpanProcessor"),
}
"""For each signal that an outbox can hold: the provider, the records, and the call that adds the outbox's processor."""


def outbox_processors(
    environ: Mapping[str, str], selections: Mapping[TelemetrySignal, Selection], settings: Settings
) -> dict[TelemetrySignal, OutboxProcessor]:
    """Return the outbox's processor for each signal that OTLP exports, and that an outbox can hold.

    Raises:
        SettingsError: The environment cannot be used; it lists every problem.
        OutboxError: The outbox cannot be used.
    """
    chosen = [
        signal
        for signal, selection in selections.items()
        if signal is not TelemetrySignal.METRICS and any(each.name in _OTLP_EXPORTERS for each in selection.exporters)
    ]
    if not chosen:
        return {}
    # Imported here, because most programs have no outbox.
    from heliograph.delivery.processor import OutboxLogRecordProcessor
    from heliograph.delivery.span_processor import OutboxSpanProcessor

    classes: Mapping[TelemetrySignal, type[OutboxProcessor]] = {
        TelemetrySignal.LOGS: OutboxLogRecordProcessor,
        TelemetrySignal.TRACES: OutboxSpanProcessor,
    }
    destinations = _destinations(environ, chosen, settings)
    return {
        signal: classes[signal](
            settings.outbox or "",
            destination=destination,
            max_bytes=settings.outbox_max_bytes,
            when_full=settings.outbox_full,
            durable=settings.outbox_sync is OutboxSync.FULL,
            write=settings.outbox_write,
            strict=settings.validation is Validation.STRICT,
        )
        for signal, destination in destinations.items()
    }


def _destinations(
    environ: Mapping[str, str], signals: Iterable[TelemetrySignal], settings: Settings
) -> dict[TelemetrySignal, Destination]:
    """Return the destination of each signal. All are read before anything is created, to find every problem."""
    found: dict[TelemetrySignal, Destination] = {}
    problems: list[str] = []
    for signal in signals:
        try:
            found[signal] = destination_from_env(
                environ, allow_plaintext=settings.outbox_allow_plaintext, signal=signal.value
            )
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return found


def problems_of_outbox(environ: Mapping[str, str], directory: object) -> list[str]:
    """Return the problem of the directory that is to be an outbox. The list is empty if it can be used, or is `None`.

    `outbox_processors` raises the same problem as an `OutboxError`. This function is for an error that lists all problems.
    """
    if isinstance(directory, Path) and not is_disabled(environ):
        # Imported here, because most programs have no outbox.
        from heliograph.delivery.outbox.folders import OutboxDirectory

        try:
            OutboxDirectory(directory, max_bytes=1)
        except OutboxError as error:
            return [str(error)]
    return []


def warn_of_unused_outbox(settings: Settings | None, signals: Collection[TelemetrySignal]) -> None:
    """Log a warning for each of the signals whose records do not go to the outbox that the settings name."""
    if settings is None or settings.outbox is None:
        return
    # Imported here, because most programs have no outbox.
    from heliograph.delivery.storages import stores_signal

    for signal, names in _ADD_TO_PROVIDER.items():
        provider = find_provider(signal) if signal in signals else None
        # A program may have added the processor itself, as this warning says.
        if provider is None or isinstance(provider, _NO_OP_PROVIDERS) or stores_signal(signal.value):
            continue
        logger.warning(_NO_OUTBOX, *names, str(settings.outbox))
