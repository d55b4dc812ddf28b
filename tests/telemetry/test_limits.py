"""No attribute is lost to a limit of the SDK, and no unique id is cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field, make_dataclass
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from heliograph import Event, Host, Settings
from heliograph.semconv import EVENT_OVERFLOW
from heliograph.telemetry.limits import (
    MAX_ATTRIBUTES,
    Limits,
    limit_attributes,
    limits_of_logger,
    limits_of_span_events,
    limits_of_spans,
    warn_of_low_limits,
)
from registrar import Registrar

ThirtyEvent = make_dataclass(
    "ThirtyEvent",
    [(f"f{number:02}", int, field(default=number)) for number in range(30)],
    bases=(Event,),
    namespace={"name": "thirty"},
)
ACTOR = {"id": "a-rather-long-name-of-a-user@example.com", "roles": ["administrator-of-everything"]}
UID = "log.record.uid"

Emitted = tuple[Mapping[str, Any], Mapping[str, Any]]


def emit(
    logger_provider: LoggerProvider, tracer_provider: TracerProvider, signals: str = "log,span_event", **fields: Any
) -> Emitted:
    """Return the attributes of the log record, and of the span event or span, as the real encoders write them."""
    logs, spans = InMemoryLogRecordExporter(), InMemorySpanExporter()
    logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
    tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
    settings = Settings(signals=signals, secret=("x",))  # type: ignore[arg-type]
    with Host(
        settings, plugins=[Registrar(ThirtyEvent)], logger_provider=logger_provider, tracer_provider=tracer_provider
    ) as host:
        if signals == "log,span":
            host.track(ThirtyEvent(actor=ACTOR, **fields))
        else:
            with tracer_provider.get_tracer("test").start_as_current_span("request"):
                host.track(ThirtyEvent(actor=ACTOR, **fields))
    [record] = encode_logs(logs.get_finished_logs()).resource_logs[0].scope_logs[0].log_records
    [span] = encode_spans(spans.get_finished_spans()).resource_spans[0].scope_spans[0].spans
    return _values(record.attributes), _values(span.attributes if signals == "log,span" else span.events[0].attributes)


def _values(pairs: Any) -> dict[str, Any]:
    return {
        pair.key: [each.string_value for each in pair.value.array_value.values]
        or pair.value.string_value
        or pair.value.int_value
        for pair in pairs
    }


def providers(**limits: int) -> tuple[LoggerProvider, TracerProvider]:
    """Return providers with limits of the environment, or with these."""
    if not limits:
        return LoggerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)
    return (
        LoggerProvider(shutdown_on_exit=False, log_record_limits=LogRecordLimits(**limits)),
        TracerProvider(shutdown_on_exit=False, span_limits=SpanLimits(**limits)),
    )


def everything(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes with those of the overflow among them."""
    return {**attributes, **json.loads(attributes[EVENT_OVERFLOW])}


@pytest.mark.parametrize("limit", [2, 3, 20, 34])
@pytest.mark.parametrize("signals", ["log,span_event", "log,span"])
@pytest.mark.parametrize("is_in_code", [True, False])
def test_count_limit_decides_where_the_overflow_begins(
    monkeypatch: pytest.MonkeyPatch, limit: int, signals: str, is_in_code: bool
) -> None:
    """A limit of the environment, or one given in code to a provider that is set already."""
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "128" if is_in_code else str(limit))
    names = {f"app.thirty.f{number:02}" for number in range(30)} | {UID, "user.id", "user.roles"}

    for attributes in emit(*providers(**({"max_attributes": limit} if is_in_code else {})), signals=signals):
        if limit < 34:
            assert len(attributes) == limit
            assert names <= everything(attributes).keys()
        assert len(attributes[UID]) == 36


@pytest.mark.parametrize(
    ("variable", "is_log_limited", "is_event_limited"),
    [
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", True, False),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", False, True),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", False, False),
    ],
)
def test_each_signal_has_its_own_limit(
    monkeypatch: pytest.MonkeyPatch, variable: str, is_log_limited: bool, is_event_limited: bool
) -> None:
    """A limit for one of them does not hide attributes of the other."""
    monkeypatch.setenv(variable, "10")

    log, event = emit(*providers())

    assert (EVENT_OVERFLOW in log, EVENT_OVERFLOW in event) == (is_log_limited, is_event_limited)
    assert (len(log), len(event)) == (10 if is_log_limited else 33, 10 if is_event_limited else 34)


def test_with_a_limit_of_one_the_unique_id_is_kept() -> None:
    """Receivers find duplicates by the unique id, so it comes first."""
    for attributes in emit(*providers(max_attributes=1)):
        assert attributes.keys() == {UID}


@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    ],
)
@pytest.mark.parametrize(
    ("limit", "is_reported"), [("0", True), ("1", True), ("2", False), ("-1", False), ("x", False)]
)
def test_limit_by_which_attributes_are_lost_is_reported(
    warnings: pytest.LogCaptureFixture, variable: str, limit: str, is_reported: bool
) -> None:
    """One warning names the variable. The SDK refuses what is no number."""
    warn_of_low_limits({variable: limit})

    assert [each.getMessage().partition(":")[0] for each in warnings.records] == [f"{variable}={limit}"] * is_reported


@pytest.mark.parametrize("length", [0, 1, 16, 35])
@pytest.mark.parametrize("is_in_code", [True, False])
def test_short_values_cut_no_unique_id_and_no_actor(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture, length: int, is_in_code: bool
) -> None:
    """A limit of the environment is one warning, which names the variable."""
    if not is_in_code:
        monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(length))

    for attributes in emit(*providers(**({"max_attribute_length": length} if is_in_code else {}))):
        assert (len(attributes[UID]), attributes["user.id"], attributes["user.roles"]) == (
            36,
            ACTOR["id"],
            ACTOR["roles"],
        )
    found = [each.getMessage() for each in warnings.records if "would cut unique ids" in each.getMessage()]
    assert len(found) == (0 if is_in_code else 1)
    assert is_in_code or f"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT={length}" in found[0]


def test_a_longer_limit_applies_to_the_actor(warnings: pytest.LogCaptureFixture) -> None:
    """36 characters are enough for a unique id."""
    for attributes in emit(*providers(max_attribute_length=36)):
        assert (len(attributes[UID]), attributes["user.id"]) == (36, str(ACTOR["id"])[:36])
    assert not [each for each in warnings.records if "would cut" in each.getMessage()]


@pytest.mark.parametrize("read", [limits_of_logger, limits_of_span_events, limits_of_spans])
def test_objects_without_limits_have_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[object], Limits]
) -> None:
    """An older SDK, or another one, has no limits to read. What is no number counts as not set."""
    assert read(object()) == Limits()
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "12")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
    assert read(object()) == Limits(count=12, length=5)
    monkeypatch.setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "unset")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1")
    assert read(object()) == Limits()


def test_overflow_that_exists_is_kept() -> None:
    """One JSON object has the rest of a dict and the attributes beyond the limit."""
    attributes: Any = {f"a{number}": number for number in range(200)}
    kept = limit_attributes({**attributes, UID: "u", EVENT_OVERFLOW: '{"b":{"":1}}'})

    assert len(kept) == MAX_ATTRIBUTES
    assert next(iter(kept)) == UID
    assert everything(kept).items() >= {**attributes, UID: "u", "b": {"": 1}}.items()
