"""The providers that heliograph created, and so has to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from heliograph.runtime.deadline import run_within
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.pipelines import GRACE_MILLIS, Pipeline
from heliograph.sdk.providers import Ours
from heliograph.semconv import SCOPE
from heliograph.values.text import counted

logger: Final = SafeLogger(SCOPE)


@dataclass(frozen=True)
class OwnedProvider:
    """A provider that was created here, and so has to be ended here.

    Attributes:
        signal: The signal of the provider.
        provider: The provider. It may be used by several hosts, and its pipeline ends with the last of them.
    """

    signal: TelemetrySignal
    provider: Ours

    def shutdown(self, timeout_millis: float) -> bool:
        """Flush the provider, and end its pipeline. Return True if this ended in time and everything was delivered.

        If no time is left, its exporters are stopped first, so that they do not wait for a server or try again.
        """
        pipeline = self.provider.pipeline
        if not self.provider.remove_user():
            return run_within(max(GRACE_MILLIS, timeout_millis), self.provider.force_flush) is True
        # The program has shut the provider down.
        if pipeline is None:
            return True
        if timeout_millis < GRACE_MILLIS:
            pipeline.stop()
        is_delivered = run_within(max(GRACE_MILLIS, timeout_millis), self.provider.end) is True
        self._report(pipeline, is_delivered=is_delivered)
        return is_delivered

    def _report(self, pipeline: Pipeline, *, is_delivered: bool) -> None:
        for export in pipeline.all_exports:
            missing = export.counts.missing
            if missing:
                lost = counted(missing, self.provider.kind.removesuffix("s"))
                logger.warning("Not delivered to %s: %s.", export.destination, lost)
            elif not is_delivered and export.counts.failures:
                logger.warning("Not all %s were delivered to %s.", self.provider.kind, export.destination)
