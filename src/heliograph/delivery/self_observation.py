"""The metrics that OpenTelemetry's SDK has of its own processors and exporters of log records and spans, for an outbox.

They exist only if ``OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED`` is ``true``, as in the SDK, and are named by the semantic
conventions (``otel.sdk.processor.log.*``, ``otel.sdk.processor.span.*`` and ``otel.sdk.exporter.*``). So a dashboard that is made
for the SDK also works for a program whose log records and spans go through an outbox. `heliograph.delivery.metrics` has more details.

Instruments of the same kinds as the SDK's are created on the meter that the SDK uses, because a program may have both.

Threads: `OutboxCounters` calls from the worker and from threads that emit. Instruments of OpenTelemetry may be used by any thread.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.metrics import (
    CallbackOptions,
    Counter,
    Meter,
    MeterProvider,
    Observation,
    UpDownCounter,
    get_meter_provider,
)
from opentelemetry.semconv._incubating.attributes.otel_attributes import (
    OTEL_COMPONENT_NAME,
    OTEL_COMPONENT_TYPE,
    OtelComponentTypeValues,
)
from opentelemetry.semconv._incubating.metrics.otel_metrics import (
    OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
    OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE,
    create_otel_sdk_exporter_log_exported,
    create_otel_sdk_exporter_log_inflight,
    create_otel_sdk_exporter_operation_duration,
    create_otel_sdk_exporter_span_exported,
    create_otel_sdk_exporter_span_inflight,
    create_otel_sdk_processor_log_processed,
    create_otel_sdk_processor_span_processed,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from heliograph.delivery.metrics import SHUT_DOWN
from heliograph.delivery.signals import LOGS, TRACES
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.endpoint import port_of, scheme_of
from heliograph.delivery.transport.verdict import Reason, Verdict
from heliograph.semconv import ERROR_TYPE, OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_REJECTED, MetricName

VARIABLE: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
METER: Final = "opentelemetry-sdk"

REJECTED: Final = "rejected"
"""The error type of a partial success, by the conventions."""


@dataclass(frozen=True, kw_only=True)
class _Instruments:
    """The instruments of a signal.

    Attributes:
        processed: Creates the counter of records that were processed.
        exported: Creates the counter of records that were exported.
        in_flight: Creates the counter of records in requests.
        queue_size: The name of the counter of records that wait.
        queue_unit: Its unit.
        queue_brief: Its description.
        exporter_types: The type of the exporter for each protocol.
    """

    processed: Callable[[Meter], Counter]
    exported: Callable[[Meter], Counter]
    in_flight: Callable[[Meter], UpDownCounter]
    queue_size: str
    queue_unit: str
    queue_brief: str
    exporter_types: Mapping[OtlpProtocol, str]


_INSTRUMENTS: Final[Mapping[str, _Instruments]] = {
    LOGS.name: _Instruments(
        processed=create_otel_sdk_processor_log_processed,
        exported=create_otel_sdk_exporter_log_exported,
        in_flight=create_otel_sdk_exporter_log_inflight,
        queue_size=OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
        queue_unit="{log_record}",
        queue_brief="The number of log records in the queue of a given instance of an SDK log processor.",
        exporter_types={
            OtlpProtocol.HTTP: OtelComponentTypeValues.OTLP_HTTP_LOG_EXPORTER.value,
            OtlpProtocol.GRPC: OtelComponentTypeValues.OTLP_GRPC_LOG_EXPORTER.value,
        },
    ),
    TRACES.name: _Instruments(
        processed=create_otel_sdk_processor_span_processed,
        exported=create_otel_sdk_exporter_span_exported,
        in_flight=create_otel_sdk_exporter_span_inflight,
        queue_size=OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE,
        queue_unit="{span}",
        queue_brief="The number of spans in the queue of a given instance of an SDK span processor.",
        exporter_types={
            OtlpProtocol.HTTP: OtelComponentTypeValues.OTLP_HTTP_SPAN_EXPORTER.value,
            OtlpProtocol.GRPC: OtelComponentTypeValues.OTLP_GRPC_SPAN_EXPORTER.value,
        },
    ),
}
_numbers: Final = itertools.count()


def self_observation_is_enabled() -> bool:
    """Return True if the environment asks for the SDK's metrics of itself."""
    return os.environ.get(VARIABLE, "").strip().lower() == "true"


class SelfObservation:
    """Reports one outbox as a processor and an exporter.

    Args:
        destination: The server, whose address becomes an attribute.
        depth: Returns the number of records that wait.
        meter_provider: The provider of the metrics; `None` is the global one.
        processor: The class of the processor. The conventions have no name for the type of such a component, so the name of its class is used.
    """

    def __init__(
        self,
        destination: Destination,
        depth: Callable[[], int],
        meter_provider: MeterProvider | None,
        processor: type[object],
    ) -> None:
        meter = (meter_provider or get_meter_provider()).get_meter(METER)
        number, instruments = next(_numbers), _INSTRUMENTS[destination.signal]
        self._processor: dict[str, str | int] = _component(f"{processor.__module__}.{processor.__qualname__}", number)
        exporter_type = instruments.exporter_types[destination.protocol]
        self._exporter = _component(exporter_type, number) | _server(destination)
        self._depth = depth
        self._processed = instruments.processed(meter)
        self._exported = instruments.exported(meter)
        self._in_flight = instruments.in_flight(meter)
        self._duration = create_otel_sdk_exporter_operation_duration(meter)
        meter.create_observable_up_down_counter(
            instruments.queue_size,
            [self._observe_depth],
            unit=instruments.queue_unit,
            description=instruments.queue_brief,
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
        """Record the time that a request took. Each attempt counts as a request, because records may be added before the next one."""
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
    # A target in one of gRPC's own forms may name no host, or several.
    if scheme_of(destination.url) is None:
        return {}
    return {SERVER_ADDRESS: urlsplit(destination.url).hostname or "", SERVER_PORT: port_of(destination.url)}
