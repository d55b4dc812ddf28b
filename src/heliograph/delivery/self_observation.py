"""The metrics that OpenTelemetry's SDK has of its own log processors and exporters, for an outbox.

They exist only if ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is ``true``, as in the SDK, and are named by the semantic
conventions (``otel.sdk.processor.log.*`` and ``otel.sdk.exporter.*``). So a dashboard that is made for the SDK also
works for a program whose log records go through an outbox. `heliograph.delivery.metrics` has more details.

Instruments of the same kinds as the SDK's are created on the meter that the SDK uses, because a program may have both.

Threads: `OutboxCounters` calls from the worker and from threads that emit. Instruments of OpenTelemetry may be used by any thread.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter_provider
from opentelemetry.semconv._incubating.attributes.otel_attributes import (
    OTEL_COMPONENT_NAME,
    OTEL_COMPONENT_TYPE,
    OtelComponentTypeValues,
)
from opentelemetry.semconv._incubating.metrics.otel_metrics import (
    OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
    create_otel_sdk_exporter_log_exported,
    create_otel_sdk_exporter_log_inflight,
    create_otel_sdk_exporter_operation_duration,
    create_otel_sdk_processor_log_processed,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from heliograph.delivery.metrics import SHUT_DOWN
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.endpoint import port_of, scheme_of
from heliograph.delivery.transport.verdict import Reason, Verdict
from heliograph.semconv import ERROR_TYPE, OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_REJECTED, MetricName

VARIABLE: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
METER: Final = "opentelemetry-sdk"
PROCESSOR_TYPE: Final = "heliograph.delivery.processor.OutboxLogRecordProcessor"
"""The type of a component without a value in the semantic conventions is the name of its class."""

REJECTED: Final = "rejected"
"""The error type of a partial success, by the conventions."""

_EXPORTER_TYPES: Final = {
    OtlpProtocol.HTTP: OtelComponentTypeValues.OTLP_HTTP_LOG_EXPORTER.value,
    OtlpProtocol.GRPC: OtelComponentTypeValues.OTLP_GRPC_LOG_EXPORTER.value,
}
_numbers: Final = itertools.count()


def is_enabled() -> bool:
    """Return True if the environment asks for the SDK's metrics of itself."""
    return os.environ.get(VARIABLE, "").strip().lower() == "true"


class SelfObservation:
    """Reports one outbox as a processor and an exporter.

    Args:
        destination: The server, whose address becomes an attribute.
        depth: Returns the number of records that wait.
        meter_provider: The provider of the metrics; `None` is the global one.
    """

    def __init__(
        self, destination: Destination, depth: Callable[[], int], meter_provider: MeterProvider | None = None
    ) -> None:
        meter = (meter_provider or get_meter_provider()).get_meter(METER)
        number = next(_numbers)
        self._processor: dict[str, str | int] = _component(PROCESSOR_TYPE, number)
        self._exporter = _component(_EXPORTER_TYPES[destination.protocol], number) | _server(destination)
        self._depth = depth
        self._processed = create_otel_sdk_processor_log_processed(meter)
        self._exported = create_otel_sdk_exporter_log_exported(meter)
        self._in_flight = create_otel_sdk_exporter_log_inflight(meter)
        self._duration = create_otel_sdk_exporter_operation_duration(meter)
        meter.create_observable_up_down_counter(
            OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
            [self._observe_depth],
            unit="{log_record}",
            description="The number of log records in the queue of a given instance of an SDK log processor.",
        )

    def counted(self, metric: MetricName, count: int, reason: str) -> None:
        """Count records whose processing has ended: sent, given up, or never accepted by the outbox."""
        if metric == OUTBOX_DELIVERED:
            self._finish(count, {})
        elif metric == OUTBOX_DEAD:
            self._finish(count, {ERROR_TYPE: reason})
        elif metric == OUTBOX_REJECTED:
            if reason == Reason.PARTIAL_SUCCESS.value:
                self._finish(count, {ERROR_TYPE: REJECTED})
            else:
                error = "already_shutdown" if reason == SHUT_DOWN else "queue_full"
                self._processed.add(count, {**self._processor, ERROR_TYPE: error})

    def _finish(self, count: int, error: dict[str, str]) -> None:
        # Only the export has failed: the processor has done its work when it passes a record on.
        self._processed.add(count, self._processor)
        self._exported.add(count, {**self._exporter, **error})

    def in_flight(self, change: int) -> None:
        """Add to the number of records in the request that is being sent."""
        self._in_flight.add(change, self._exporter)

    def ended(self, seconds: float, verdict: Verdict | None) -> None:
        """Record the time that a request took. A request that is sent again later is one of its own: records may be added to it."""
        reason = Reason.INTERNAL if verdict is None else verdict.reason
        self._duration.record(seconds, {**self._exporter, **_error_of(reason)})

    def _observe_depth(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(self._depth(), self._processor)]


def _error_of(reason: Reason) -> dict[str, str]:
    match reason:
        case Reason.ACCEPTED:
            return {}
        case Reason.PARTIAL_SUCCESS:
            return {ERROR_TYPE: REJECTED}
        case _:
            return {ERROR_TYPE: reason.value}


def _component(kind: str, number: int) -> dict[str, str | int]:
    return {OTEL_COMPONENT_TYPE: kind, OTEL_COMPONENT_NAME: f"{kind}/{number}"}


def _server(destination: Destination) -> dict[str, str | int]:
    if scheme_of(destination.url) is None:  # a target in one of gRPC's own forms may name no host, or several
        return {}
    return {SERVER_ADDRESS: urlsplit(destination.url).hostname or "", SERVER_PORT: port_of(destination.url)}
