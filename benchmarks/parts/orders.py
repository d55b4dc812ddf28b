"""The records that the benchmarks of delivery emit."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import AnyValue

from heliograph.semconv import LOG_RECORD_UID

ATTRIBUTES: Mapping[str, AnyValue] = {
    LOG_RECORD_UID: "0199b3c0-5a5e-7c3a-8a51-9d2e6f6f0f4b",
    "user.id": "root",
    "shop.order_shipped.order": 4711,
    "shop.order_shipped.customer": "Ada",
    "shop.order_shipped.country": "GB",
    "shop.order_shipped.carrier": "post",
    "shop.order_shipped.parcels": 3,
    "shop.order_shipped.express": True,
    "shop.order_shipped.note": "fragile",
}


def logger_to(processor: LogRecordProcessor) -> Logger:
    """Return a logger whose records go to the processor."""
    provider = LoggerProvider(resource=Resource({"service.name": "benchmark"}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    return provider.get_logger("benchmark", "1")


def emit(logger: Logger, count: int) -> None:
    """Emit a number of records, each with nine attributes."""
    for _ in range(count):
        _emit_one(logger, ATTRIBUTES)


def emit_numbered(logger: Logger, count: int) -> None:
    """Emit a number of records, whose unique ids are the numbers from 0 on."""
    for number in range(count):
        _emit_one(logger, {**ATTRIBUTES, LOG_RECORD_UID: str(number)})


def _emit_one(logger: Logger, attributes: Mapping[str, AnyValue]) -> None:
    logger.emit(
        LogRecord(
            context=Context(),
            timestamp=1767322800_000_000_000,
            severity_number=SeverityNumber.INFO,
            body="order 4711 shipped",
            attributes=attributes,
            event_name="shop.order_shipped",
        )
    )
