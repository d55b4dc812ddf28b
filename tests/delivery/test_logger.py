"""Loggers that encode straight into an outbox: the bytes are those of the SDK's way, which everything unusual still takes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context, attach, detach
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message
from opentelemetry.sdk._logs import (
    Logger,
    LoggingHandler,
    LogRecordLimits,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from delivery.recording_outbox import RecordingOutbox, direct, of_the_sdk
from heliograph.delivery.logger import OutboxLogger
from heliograph.semconv import LOG_RECORD_UID
from processes import in_child
from profiles import examples

pytestmark = pytest.mark.filterwarnings("ignore::opentelemetry.sdk._logs.LogRecordDroppedAttributesWarning")


def both(emit: Callable[[Any], object], limits: LogRecordLimits | None = None) -> tuple[list[bytes], int]:
    """Emit to both kinds of loggers. Return the messages, which are the same, and the number of records that were objects."""
    (own, own_outbox), (sdk, sdk_outbox) = direct(limits), of_the_sdk(limits)
    for provider in (own, sdk):
        emit(provider.get_logger("tests", "1", "https://example.com/schema"))
    messages = [message for _, _, message in own_outbox.messages]
    assert messages == [message for _, _, message in sdk_outbox.messages]
    assert [scope for _, scope, _ in own_outbox.messages] == [scope for _, scope, _ in sdk_outbox.messages]
    return messages, own_outbox.objects


class Name(str):
    """A text of another class."""

    __slots__ = ()


class Text:
    def __str__(self) -> str:
        return "its text"


def in_span(trace_id: int = 0xABC, span_id: int = 0xDEF, flags: int = 1) -> Context:
    span_context = SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags))
    return set_span_in_context(NonRecordingSpan(span_context), Context())


texts = st.text(max_size=9) | st.text(st.characters(categories=None), max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=5)
values = st.recursive(
    scalars | texts.map(Name) | st.builds(Text) | st.builds(object) | st.sets(st.integers(), max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = texts | texts.map(Name) | st.integers() | st.just(LOG_RECORD_UID)
attributes = (
    st.none()
    | st.dictionaries(texts, scalars, max_size=9)
    | st.dictionaries(keys, values, max_size=9)
    | st.dictionaries(texts, scalars, max_size=3).map(lambda found: BoundedAttributes(attributes=found))
)
contexts = (
    st.none() | st.just(Context()) | st.builds(in_span, flags=st.integers(0, 3), trace_id=st.integers(0, 2**128 - 1))
)


@settings(max_examples=examples(400))
@given(
    fields=st.fixed_dictionaries(
        {
            "timestamp": st.none() | st.integers(0, 2**64),
            "observed_timestamp": st.integers(0, 2**64),
            "context": contexts,
            "severity_number": st.none() | st.sampled_from(SeverityNumber),
            "severity_text": st.none() | texts,
            "body": values,
            "attributes": attributes,
            "event_name": st.none() | texts,
        }
    ),
    current=contexts,
    limits=st.builds(
        LogRecordLimits,
        max_attributes=st.none() | st.integers(0, 4) | st.just(LogRecordLimits.UNSET),
        max_attribute_length=st.none() | st.integers(0, 4),
    ),
)
def test_bytes_are_those_of_the_sdks_way(fields: Any, current: Context | None, limits: LogRecordLimits) -> None:
    """The bytes are equal whatever is emitted, and whatever the limits are."""
    token = attach(current or Context())
    try:
        messages, _ = both(lambda logger: logger.emit(**fields), limits)
    finally:
        detach(token)
    assert len(messages) == 1


@pytest.mark.parametrize(
    "usual",
    [
        {},
        {"a": "text", "b": 1, "c": 1.5, "d": True, "e": None, "f": b"bytes"},
        {"list": ["a", "b"], "tuple": (1, 2.5, None), "empty": []},
        {LOG_RECORD_UID: "0199b3c0-5a5e-7c3a-8a51-9d2e6f6f0f4b"},
        {"lone surrogate": "\ud800"},
        {f"key {number}": number for number in range(128)},
    ],
)
def test_usual_attributes_are_encoded_directly(usual: Mapping[str, Any]) -> None:
    """No object of the SDK is made."""
    _, objects = both(lambda logger: logger.emit(body="b", attributes=usual, observed_timestamp=1))
    assert objects == 0


@pytest.mark.parametrize(
    "unusual",
    [
        {"": "no key"},
        {1: "no text"},
        {Name("a"): "another class"},
        {"a": Text()},
        {"a": {"nested": 1}},
        {"a": [Text()]},
        {f"key {number}": number for number in range(129)},
    ],
)
def test_attributes_that_the_sdk_may_change_take_its_way(unusual: Mapping[Any, Any]) -> None:
    _, objects = both(lambda logger: logger.emit(body="b", attributes=unusual, observed_timestamp=1))
    assert objects == 1


def test_limit_of_lengths_is_honoured() -> None:
    """The SDK cuts each text, so it has to see all texts."""
    limits = LogRecordLimits(max_log_record_attribute_length=3)
    [message], objects = both(lambda logger: logger.emit(attributes={"a": "text"}, observed_timestamp=1), limits)
    assert objects == 1
    assert Message.FromString(message).attributes[0].value.string_value == "tex"


def test_dropped_attributes_are_counted() -> None:
    limits = LogRecordLimits(max_log_record_attributes=1)
    [message], _ = both(lambda logger: logger.emit(attributes={"a": 1, "b": 2}, observed_timestamp=1), limits)
    assert Message.FromString(message).dropped_attributes_count == 1


def test_record_objects_and_exceptions_take_the_way_of_the_sdk() -> None:
    record = LogRecord(body="b", attributes={"a": 1}, observed_timestamp=1)
    assert both(lambda logger: logger.emit(record))[1] == 1
    error = ValueError("wrong")
    [message], objects = both(lambda logger: logger.emit(exception=error, observed_timestamp=1))
    assert objects == 1
    assert {each.key for each in Message.FromString(message).attributes} >= {"exception.type", "exception.message"}


def test_time_of_observation_is_the_time_of_the_call() -> None:
    provider, outbox = direct()
    provider.get_logger("tests").emit(body="b")
    assert outbox.decoded()[0].observed_time_unix_nano > 0


def test_span_contexts_of_other_classes_are_read_each_time() -> None:
    """The ids of a subclass may change, unlike those of OpenTelemetry's own class."""

    class Changing(SpanContext):
        def __getattribute__(self, name: str) -> Any:
            return next(ids) if name == "trace_id" else super().__getattribute__(name)

    ids = iter(range(1, 9))
    context = set_span_in_context(NonRecordingSpan(Changing(1, 2, is_remote=False)), Context())
    provider, outbox = direct()
    for _ in range(2):
        provider.get_logger("tests").emit(context=context)
    first, second = outbox.decoded()
    assert first.trace_id != second.trace_id


def test_logger_is_one_of_the_sdk() -> None:
    """The provider knows the logger: each name has one, and a new resource reaches it."""
    provider, outbox = direct()
    logger = provider.get_logger("tests")
    assert isinstance(logger, Logger)
    assert type(logger) is OutboxLogger
    assert provider.get_logger("tests") is logger
    assert type(provider.get_logger("tests", attributes={"a": 1})) is OutboxLogger
    assert logger.enabled()
    provider._update_resource(Resource({"more": "b"}))
    logger.emit(body="b")
    [(resource, _, _)] = outbox.messages
    assert resource is provider.resource
    assert resource.attributes["more"] == "b"


def test_resource_is_renewed_in_the_child_of_a_fork() -> None:
    provider, outbox = direct()
    logger = provider.get_logger("tests")

    def emit() -> None:
        logger.emit(body="b")
        assert outbox.messages[-1][0] is provider.resource

    assert in_child(emit) == 0


def test_logger_that_is_switched_off_emits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    provider, outbox = direct()
    logger = provider.get_logger("tests")
    monkeypatch.setattr(logger, "_is_enabled", lambda: False)
    logger.emit(body="b")
    assert isinstance(logger, OutboxLogger)
    common = logger.common_fields(SeverityNumber.INFO, "b", "app.e", None)
    assert logger.emit_encoded(common, [], {}, "uid", 1, Context())
    assert outbox.messages == []


def test_disabled_sdk_emits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider, outbox = direct()
    logger = provider.get_logger("tests")
    logger.emit(body="b")
    assert not isinstance(logger, Logger)
    assert outbox.messages == []


def test_logger_of_an_unknown_release_of_the_sdk_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliograph.delivery.logger._PRIVATE", ("_is_enabled", "_is_not_there"))
    provider, outbox = direct()
    logger = provider.get_logger("tests")
    assert type(logger) is Logger
    logger.emit(body="b")
    assert outbox.objects == 1


@pytest.fixture
def python_logger() -> Iterator[tuple[logging.Logger, RecordingOutbox]]:
    """A logger of the standard library whose records go to an outbox."""
    provider, outbox = direct()
    with pytest.warns(DeprecationWarning, match="LoggingHandler"):
        handler = LoggingHandler(logger_provider=provider)
    logger = logging.getLogger("tests.outbox")
    logger.addHandler(handler)
    yield logger, outbox
    logger.removeHandler(handler)


def test_handler_of_the_standard_library_works(python_logger: tuple[logging.Logger, RecordingOutbox]) -> None:
    logger, outbox = python_logger
    logger.warning("three %s", "words", extra={"shop.order": os.getpid()})
    [message] = outbox.decoded()
    assert message.body.string_value == "three words"
    assert message.severity_number == SeverityNumber.WARN.value
