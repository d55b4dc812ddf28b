"""Pipelines: everything between a provider and the places that its telemetry goes to.

A pipeline is built of the SDK's public classes, which read limits and intervals from the environment themselves. The provider that it is
opened in hands telemetry to its parts, flushes it, and ends it. A pipeline that was never opened ends by `Pipeline.discard`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from typing_extensions import assert_never

from heliograph.delivery.transport.endpoint import shown_endpoint
from heliograph.runtime.deadline import Deadline, run_within
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.explained_exporters import create_exporter
from heliograph.sdk.export_counts import (
    CountingBatchLogRecordProcessor,
    CountingBatchSpanProcessor,
    ExportCounts,
)
from heliograph.sdk.exporters import OTLP_BY_PROTOCOL, Selection, TelemetrySignal
from heliograph.semconv import SCOPE

if TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxProcessor

GRACE_MILLIS: Final = 100.0
"""The shortest time that a shutdown gets, in milliseconds, so that connections are closed even if the caller's deadline has passed."""

_failures: Final = LimitedLog(SafeLogger(SCOPE))


@dataclass(frozen=True, kw_only=True)
class ExporterHandle:
    """An exporter of a pipeline, as far as a report of losses and the end of the pipeline need it.

    Attributes:
        counts: The counts of what it delivered.
        destination: Its endpoint, or its name.
        stop: Makes it end at once, without delivering what is held for it.
    """

    counts: ExportCounts
    destination: str
    stop: Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Everything between a provider and the places that its telemetry goes to.

    Attributes:
        parts: The processors of spans or log records, or the readers of metrics.
        exporters: Their exporters.
        kept: Readers that only respond to requests, such as Prometheus'. They stay with the provider when the pipeline ends, because they may
            keep a port until the process ends.
        stops: Further functions that make a part end at once.
        has_outbox: True if the log records or spans go to an outbox.
        former: The pipeline before this one, which gets nothing more, and may still hold something.
    """

    parts: tuple[Any, ...]
    exporters: tuple[ExporterHandle, ...]
    kept: tuple[Any, ...] = ()
    stops: tuple[Callable[[], object], ...] = ()
    has_outbox: bool = False
    former: Pipeline | None = None

    @property
    def only_outbox(self) -> Any:
        """The outbox's processor if it is the only part, else `None`."""
        return self.parts[0] if self.has_outbox and len(self.parts) == 1 else None

    @property
    def all_parts(self) -> tuple[Any, ...]:
        """The parts of this pipeline and of the former ones."""
        return self.parts if self.former is None else (*self.parts, *self.former.all_parts)

    @property
    def all_exporters(self) -> tuple[ExporterHandle, ...]:
        """The exporters of this pipeline and of the former ones."""
        return self.exporters if self.former is None else (*self.exporters, *self.former.all_exporters)

    def flush(self, timeout_millis: float) -> bool:
        """Flush all parts within the time. Return False if one of them failed, or had no time left."""
        deadline = Deadline(timeout_millis)
        # A list, so that every part is flushed; `all` alone would stop at the first that failed.
        results = [_flush(part, deadline.remaining()) for part in self.all_parts]
        return all(results)

    def stop(self) -> None:
        """Make all parts end at once, without delivering what they hold."""
        for stop in (*(exporter.stop for exporter in self.all_exporters), *self.stops):
            _end(stop)

    def discard(self) -> None:
        """End a pipeline that was never opened."""
        self.stop()
        for part in (*self.parts, *self.kept):
            _end(part.shutdown)


class PeriodicReader(PeriodicExportingMetricReader):
    """The SDK's reader for push exporters. A second shutdown does nothing: the SDK shuts down each reader that it removes."""

    _has_ended = False

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Export for the last time, and end the thread."""
        if not self._has_ended:
            self._has_ended = True
            super().shutdown(timeout_millis, **kwargs)


def build_pipeline(
    signal: TelemetrySignal,
    selection: Selection,
    *,
    outbox: OutboxProcessor | None = None,
    kept: Iterable[object] = (),
) -> Pipeline:
    """Return a pipeline for a signal, whose threads run already.

    Args:
        signal: The signal.
        selection: The exporters of the signal.
        outbox: Replaces the OTLP exporter of the log records or spans.
        kept: The readers that the provider has kept from an earlier pipeline.
    """
    match signal:
        case TelemetrySignal.TRACES:
            return _build_batches(signal, selection, CountingBatchSpanProcessor, outbox)
        case TelemetrySignal.LOGS:
            return _build_batches(signal, selection, CountingBatchLogRecordProcessor, outbox)
        case TelemetrySignal.METRICS:
            return _build_metrics(selection, kept)
        case _:
            assert_never(signal)


def _build_batches(
    signal: TelemetrySignal,
    selection: Selection,
    processor_class: Callable[..., object],
    outbox: OutboxProcessor | None,
) -> Pipeline:
    """Return a pipeline of a batch processor for each exporter, with the outbox in place of those of OTLP, if there is one."""
    chosen = [each for each in selection.exporters if outbox is None or each.name not in OTLP_BY_PROTOCOL.values()]
    exporters = [create_exporter(each, signal) for each in chosen]
    pipeline = _pipeline(exporters, [processor_class(each, each.counts) for each in exporters])
    if outbox is None:
        return pipeline
    return replace(pipeline, parts=(*pipeline.parts, outbox), stops=(partial(outbox.shutdown, 0),), has_outbox=True)


def _build_metrics(selection: Selection, kept: Iterable[object]) -> Pipeline:
    # Some are readers and no exporters, such as Prometheus, which fetches metrics.
    pulled = [each.load() for each in selection.exporters if issubclass(each.load(), MetricReader)]
    pushed = [each for each in selection.exporters if not issubclass(each.load(), MetricReader)]
    exporters = [create_exporter(each, TelemetrySignal.METRICS) for each in pushed]
    known = {type(reader): reader for reader in kept}
    return replace(
        _pipeline(exporters, map(PeriodicReader, exporters)), kept=tuple(known.get(cls) or cls() for cls in pulled)
    )


def _pipeline(exporters: Sequence[Any], parts: Iterable[Any]) -> Pipeline:
    handles = (
        ExporterHandle(counts=each.counts, destination=_destination_of(each), stop=each.stop) for each in exporters
    )
    return Pipeline(parts=tuple(parts), exporters=tuple(handles))


def _flush(part: Any, timeout_millis: float) -> bool:
    """Flush a part of a pipeline. Return False if it failed."""
    try:
        return part.force_flush(timeout_millis) is not False
    except MetricsTimeoutError:
        # An outbox whose server is down has used up the time. This is no defect, and needs no traceback.
        return False
    except program_errors() as error:
        # The code of an exporter may raise anything. The other parts have to be flushed nevertheless.
        _failures.log((type(part), type(error)), "A part of the pipeline failed to flush.", error=error)
        return False


def _end(function: Callable[[], object]) -> None:
    # The code of an exporter may raise anything. The other parts have to end nevertheless.
    with suppress(Exception):
        run_within(GRACE_MILLIS, function)


def _destination_of(exporter: object) -> str:
    """Return the endpoint of an exporter as it may be logged, or the name of the exporter's class."""
    endpoint = getattr(exporter, "_endpoint", None)
    return shown_endpoint(endpoint) if isinstance(endpoint, str) else type(exporter).__name__
