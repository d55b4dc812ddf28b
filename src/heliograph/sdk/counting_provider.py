"""The base of the providers that heliograph sets: their pipelines end and are replaced, and a flush reports losses.

OpenTelemetry lets a process set each global provider only once, and a provider of the SDK that was shut down drops all that it is given.
So the providers that heliograph sets are never shut down. Each has a *pipeline*: the processors or readers, and their
exporters. It ends with the last host that uses it, and a new one is opened when a host is entered or configured later.

While a provider has no pipeline, it counts what it is given. The first of it is logged, and the next flush returns False.

Threads: telemetry is emitted in any thread, and by signal handlers, while another thread opens or ends a pipeline. `parts` and
`pipeline` are replaced as a whole, and read once for each item: it goes to the pipeline that was there, which exports all that it holds
before it ends. The threads that configure and shut down hosts, and those that add processors, hold `lock`; those that emit do not.

A host that ends removes itself and, if it was the last one, takes the pipeline away in one step. A host that is configured adds itself
before it looks at the pipeline. So it finds one that does not end while the host uses it, or none, and opens its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.export_counts import ExportCounts, run_flush
from heliograph.sdk.pipelines import Pipeline
from heliograph.semconv import SCOPE

logger: Final = SafeLogger(SCOPE)


class CountingProvider:
    """A base for the SDK's providers, whose pipeline can end and be replaced.

    Attributes:
        kind: The name of the telemetry in messages.
        parts: The parts of the pipeline; `None` while there is none.
        pipeline: The pipeline.
        users: The number of hosts that use it. With the last of them, the pipeline ends.
        lock: Guards `users`, `pipeline` and `parts`, and what the processors note of the pipeline. Otherwise a thread that opens a pipeline
            could note that nothing else gets the telemetry, after another thread has added a processor, or has ended the pipeline.
    """

    kind = "telemetry"
    parts: tuple[Any, ...] | None = None
    pipeline: Pipeline | None = None
    users = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Accepted, and never delivered.
        self._late = ExportCounts()
        self._late_log = LimitedLog(logger)
        self._reset_lock()
        after_fork_in_child(self._reset_lock)

    def _reset_lock(self) -> None:
        # Reentrant: a signal handler may shut a host down in the middle of `add_user`.
        self.lock = threading.RLock()

    @property
    def only_outbox(self) -> Any:
        """The outbox's processor if it is the only part of the pipeline, else `None`."""
        pipeline = self.pipeline
        return None if pipeline is None else pipeline.only_outbox

    def open(self, pipeline: Pipeline) -> None:
        """Export through a pipeline from now on."""
        with self.lock:
            self.pipeline = pipeline
            self.parts = pipeline.parts
            self.note_pipeline()

    def note_pipeline(self) -> None:
        """Note that there is another pipeline, or none."""

    def add_user(self) -> None:
        """Count a host that uses the provider."""
        with self.lock:
            self.users += 1

    def remove_user(self) -> bool:
        """Count a host that has ended. Return True if no other host uses the provider."""
        with self.lock:
            self.users -= 1
            return self.users <= 0

    def take_pipeline(self) -> Pipeline | None:
        """Return the pipeline, and have none from now on. The caller has to end it, by `end_pipeline`."""
        with self.lock:
            pipeline, self.parts, self.pipeline = self.pipeline, None, None
            self.note_pipeline()
        self._late_log = LimitedLog(logger)
        return pipeline

    def end(self) -> bool:
        """Deliver what the pipeline holds, and end it. Return True if everything was delivered."""
        pipeline = self.take_pipeline()
        return pipeline is None or self.end_pipeline(pipeline)

    def end_pipeline(self, pipeline: Pipeline) -> bool:
        """Deliver what a pipeline that was taken away holds, and end it. Return True if everything was delivered."""
        return run_flush([exporter.counts for exporter in pipeline.all_exporters], lambda: self._end(pipeline))

    def _end(self, pipeline: Pipeline) -> bool:
        # A list, so that every part ends; `all` alone would stop at the first that failed.
        results = [self._end_part(part) for part in pipeline.all_parts]
        return all(results)

    def _end_part(self, part: Any) -> bool:
        """Shut a part of the pipeline down. Return False if it failed."""
        try:
            part.shutdown()
        except program_errors():
            # The code of an exporter may raise anything. The other parts, such as the outbox, have to end nevertheless.
            logger.exception("A part of the pipeline failed to shut down.")
            return False
        return True

    def add_late(self) -> None:
        """Count an item that was emitted while there is no pipeline, and log the first one."""
        self._late.add_accepted()
        self._late_log.log(
            "late",
            "Telemetry (%s) was emitted after heliograph was shut down, and is lost. Enter the host again, or shut it down later.",
            self.kind,
            level=logging.WARNING,
        )

    @property
    def export_counts(self) -> Sequence[ExportCounts]:
        """The counts of the exporters, and of what was emitted without one."""
        pipeline = self.pipeline
        return [self._late, *(exporter.counts for exporter in (() if pipeline is None else pipeline.all_exporters))]

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Export everything that the provider holds. Return True if all of it was delivered."""
        return run_flush(self.export_counts, lambda: self._flush(timeout_millis))

    def _flush(self, timeout_millis: float) -> bool:
        flush: Callable[[float], bool] = super().force_flush  # type: ignore[misc]  # of the provider class, next in the MRO
        return flush(timeout_millis)

    def flush_pipeline(self, timeout_millis: float) -> bool:
        """Flush the parts of the pipeline, if there is one. Return False if one of them failed."""
        pipeline = self.pipeline
        return pipeline is None or pipeline.flush(timeout_millis)
