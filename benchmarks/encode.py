"""Compare the CPU time of encoding log records with that of the SDK's encoder.

Both encoders run in turn, in one process, on the same records (as the SDK hands them to a processor), and make the same
request, byte for byte. Each figure is the median of many short rounds. The benchmark prints the ratio of the two for each kind
of records, and exits with 1 if one is over its goal: 0.2 for flat attributes, which events have, and 0.3 for nested ones.
"""

from __future__ import annotations

import datetime as dt
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from parts.orders import ATTRIBUTES

from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field, join_request

GOALS = {"flat": 0.2, "nested": 0.3}
ROUNDS = 100
RECORDS = 100

NESTED = {
    **ATTRIBUTES,
    "shop.order_shipped.weight": 2.5,
    "shop.order_shipped.tags": ["a", "b", "c"],
    "shop.order_shipped.address": {"city": "Žilina", "lines": [1, -2, 2**40], "geo": {"lat": 49.2, "lon": 18.7}},
    "shop.order_shipped.text": "long " * 100,
}


class KeepingProcessor(LogRecordProcessor):
    """Keeps all records in memory."""

    def __init__(self) -> None:
        self.records: list[ReadableLogRecord] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep a record in the form that the SDK's processors hand to exporters."""
        self.records.append(
            ReadableLogRecord(
                log_record=log_record.log_record,
                resource=log_record.resource or Resource({}),
                instrumentation_scope=log_record.instrumentation_scope,
                limits=log_record.limits,
            )
        )

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Do nothing."""
        return True


def records(attributes: dict[str, object]) -> list[ReadableLogRecord]:
    """Return records as a program emits them in a span, each with different values."""
    kept = KeepingProcessor()
    provider = LoggerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_log_record_processor(kept)
    logger = provider.get_logger("heliograph", "1")
    start = int(dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc).timestamp()) * 10**9
    with TracerProvider().get_tracer("shop").start_as_current_span("work"):
        for index in range(RECORDS):
            logger.emit(
                timestamp=start + index,
                severity_number=SeverityNumber.INFO,
                body="order-shipped",
                attributes={  # type: ignore[arg-type]
                    **attributes,
                    "shop.order_shipped.order": index * 37,
                    "shop.order_shipped.customer": "Ada" * (index % 11),
                },
                event_name="shop.order_shipped",
            )
    return kept.records


def encode_with_sdk(batch: Sequence[ReadableLogRecord]) -> bytes:
    """Return the request from the SDK's encoder."""
    return encode_logs(batch).SerializeToString()


def encode_with_heliograph(batch: Sequence[ReadableLogRecord]) -> bytes:
    """Return the request from heliograph's encoder."""
    fields = [entry_field(encode_log_record(record.log_record, record.dropped_attributes)) for record in batch]
    scope = batch[0].instrumentation_scope
    assert scope is not None
    encoded_scope = encode_scope(scope.name, scope.version, scope.attributes)
    resource = batch[0].resource
    return join_request(encode_resource(resource.attributes), resource.schema_url, [(encoded_scope, "", fields)])


def main() -> int:
    """Print medians and ratios. Return 1 if a ratio is over its goal."""
    print(f"{ROUNDS} rounds of {RECORDS} records each, in turn")
    return max(compare(name, records(attributes)) for name, attributes in (("flat", ATTRIBUTES), ("nested", NESTED)))


def compare(name: str, batch: list[ReadableLogRecord]) -> int:
    """Print the medians for one kind of records. Return 1 if the median of the ratios is over its goal."""
    assert encode_with_heliograph(batch) == encode_with_sdk(batch)
    rounds = [(cpu_seconds(encode_with_sdk, batch), cpu_seconds(encode_with_heliograph, batch)) for _ in range(ROUNDS)]
    protobuf, ours = (statistics.median(side) * 1e6 for side in zip(*rounds))
    ratio = statistics.median(own / base for base, own in rounds)
    print(
        f"{name}: {len(batch[0].log_record.attributes or {})} attributes, {len(encode_with_heliograph(batch)) // RECORDS} bytes a record"
    )
    print(f"  encode_logs          {protobuf:6.2f} µs")
    print(f"  heliograph.delivery  {ours:6.2f} µs")
    print(f"  ratio                {ratio:6.3f}    (goal: at most {GOALS[name]})")
    return int(ratio > GOALS[name])


def cpu_seconds(encode: Callable[[list[ReadableLogRecord]], bytes], batch: list[ReadableLogRecord]) -> float:
    """Return the CPU time of one record in seconds."""
    start = time.process_time()
    encode(batch)
    return (time.process_time() - start) / len(batch)


if __name__ == "__main__":
    sys.exit(main())
