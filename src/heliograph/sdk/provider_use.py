"""The use of a provider that heliograph created, by one host. The provider's pipeline ends with the last of its uses."""

from __future__ import annotations

from typing import Final

from heliograph.runtime.deadline import run_within
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.counting_provider import CountingProvider
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.pipelines import GRACE_MILLIS, Pipeline
from heliograph.semconv import SCOPE
from heliograph.values.text import counted

logger: Final = SafeLogger(SCOPE)


class ProviderUse:
    """The use of a provider by one host, from its creation to the first `shutdown` or `cancel`.

    Any thread may call these methods. Two threads that end a host at once, or a signal handler that does it again, may both call `shutdown`: the
    second call only flushes the provider.

    Args:
        signal: The signal of the provider.
        provider: The provider. It may be used by several hosts, and its pipeline ends with the last of them.

    Attributes:
        signal: The signal of the provider.
        provider: The provider.
    """

    def __init__(self, signal: TelemetrySignal, provider: CountingProvider) -> None:
        self.signal = signal
        self.provider = provider
        # Guarded by the provider's lock.
        self._has_ended = False
        provider.add_user()

    def shutdown(self, timeout_millis: float) -> bool:
        """Flush the provider, and end its pipeline if no other host uses it.

        If no time is left, its exporters are stopped first, so that they do not wait for a server or try again.

        Returns:
            True if this ended in time, and everything was delivered.
        """
        is_last, pipeline = self._end_use()
        if not is_last:
            return run_within(max(GRACE_MILLIS, timeout_millis), self.provider.force_flush) is True
        # The program has shut the provider down.
        if pipeline is None:
            return True
        if timeout_millis < GRACE_MILLIS:
            pipeline.stop()
        is_delivered = (
            run_within(max(GRACE_MILLIS, timeout_millis), lambda: self.provider.end_pipeline(pipeline)) is True
        )
        self._report(pipeline, is_delivered=is_delivered)
        return is_delivered

    def cancel(self) -> None:
        """End the use because the host was not set up. Nothing is flushed, unless all other hosts have ended in the meantime."""
        _, pipeline = self._end_use()
        if pipeline is not None:
            run_within(GRACE_MILLIS, lambda: self.provider.end_pipeline(pipeline))

    def _end_use(self) -> tuple[bool, Pipeline | None]:
        """Return True if this was the last use of the provider, and then the pipeline, which the caller has to end."""
        # One step: a host that is configured meanwhile uses this pipeline before it is taken away, or opens another one.
        with self.provider.lock:
            if self._has_ended:
                return False, None
            self._has_ended = True
            is_last = self.provider.remove_user()
            return is_last, self.provider.take_pipeline() if is_last else None

    def _report(self, pipeline: Pipeline, *, is_delivered: bool) -> None:
        for exporter in pipeline.all_exporters:
            missing = exporter.counts.missing
            if missing:
                lost = counted(missing, self.provider.kind.removesuffix("s"))
                logger.warning("Not delivered to %s: %s.", exporter.destination, lost)
            elif not is_delivered and exporter.counts.failures:
                logger.warning("Not all %s were delivered to %s.", self.provider.kind, exporter.destination)
