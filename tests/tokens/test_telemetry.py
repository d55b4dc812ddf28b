"""Each operation of a token handler has a span and a duration, and no part of a token is in either."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from opentelemetry.metrics import MeterProvider, NoOpMeterProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TracerProvider

from heliograph import (
    TokenInvalid,
    TokenRevoked,
)
from heliograph.semconv import TOKEN_VERIFY
from recorder import Telemetry
from tokens.every_rejection import REJECTIONS
from tokens.scripted import TOKEN, Handlers, Scripted, host_with, token_telemetry

pytestmark = pytest.mark.anyio


async def test_created_token_has_a_span_and_a_duration(telemetry: Telemetry) -> None:
    """The span is INTERNAL and names the handler, the user and the result. The metric does not name the user."""
    async with host_with(telemetry, Scripted()) as host:
        assert await host.create_token("root", expires_after=60) == "root 60 None"

    [span] = telemetry.spans
    assert (span.name, span.kind, span.status.status_code) == ("token.create", SpanKind.INTERNAL, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "heliograph.token.handler": "scripted",
        "heliograph.token.result": "created",
        "user.id": "root",
    }
    metric = telemetry.metrics()["heliograph.token.create.duration"]
    assert metric.unit == "s"
    assert telemetry.counts(metric.name) == {("scripted", "created"): 1}


async def test_valid_token_has_the_id_of_its_actor_on_the_span_only(telemetry: Telemetry) -> None:
    """The id is not an attribute of the metric."""
    async with host_with(telemetry, Scripted({"id": 7, "token": "t"})) as host:
        assert await host.verify_token(TOKEN) == {"id": 7, "token": "t"}

    [span] = telemetry.spans
    assert (span.name, span.kind, span.status.status_code) == ("token.verify", SpanKind.INTERNAL, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "heliograph.token.handler": "scripted",
        "heliograph.token.result": "valid",
        "user.id": "7",
    }
    assert telemetry.counts("heliograph.token.verify.duration") == {("scripted", "valid"): 1}


@pytest.mark.parametrize(("rejection", "result"), REJECTIONS, ids=repr)
async def test_rejected_token_is_a_result_and_not_an_error(
    telemetry: Telemetry, rejection: Exception, result: str
) -> None:
    """The span has a result, an unset status and no `error.type`. The caller gets a `TokenInvalid`."""
    async with host_with(telemetry, Scripted(rejection)) as host:
        with pytest.raises(TokenInvalid) as caught:
            await host.verify_token(TOKEN)

    assert isinstance(caught.value, type(rejection))
    assert str(caught.value) == str(rejection)
    [span] = telemetry.spans
    assert dict(span.attributes) == {"heliograph.token.handler": "scripted", "heliograph.token.result": result}
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())
    assert telemetry.counts("heliograph.token.verify.duration") == {("scripted", result): 1}


async def test_token_that_no_handler_recognizes_has_one_span(telemetry: Telemetry) -> None:
    """The span names no handler: none has decided."""
    first, second = Scripted(), Scripted()
    first.name = "first"
    async with host_with(telemetry, first, second) as host:
        assert await host.verify_token(TOKEN) is None

    assert [dict(span.attributes) for span in telemetry.spans] == [{"heliograph.token.result": "unrecognized"}]


@pytest.mark.parametrize("operation", ["create", "verify"])
async def test_handler_that_fails_is_an_error_without_its_message(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, operation: str
) -> None:
    """The message quotes the token, so only the class of the exception is recorded: no attribute, event, status or log line."""
    async with host_with(telemetry, Scripted(ConnectionError(f"no answer about {TOKEN}"))) as host:
        with pytest.raises(ConnectionError, match=TOKEN):
            await (host.verify_token(TOKEN) if operation == "verify" else host.create_token("root"))

    [span] = telemetry.spans
    assert span.attributes["heliograph.token.result"] == "error"
    assert span.attributes["error.type"] == "ConnectionError"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.events == ()
    name = f"heliograph.token.{operation}.duration"
    assert telemetry.counts(name) == {("ConnectionError", "scripted", "error"): 1}
    for part in TOKEN.split("_"):
        assert part not in telemetry.everything().replace("token.create", "")
        assert part not in warnings.text


async def test_cancelled_operation_is_an_error(telemetry: Telemetry) -> None:
    """`CancelledError` is not an `Exception`. The span ends nevertheless, and names it."""
    with pytest.raises(asyncio.CancelledError), token_telemetry(telemetry).operation(TOKEN_VERIFY, "scripted"):
        raise asyncio.CancelledError

    [span] = telemetry.spans
    assert span.attributes["heliograph.token.result"] == "error"
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert span.status.status_code is StatusCode.ERROR


async def test_rejection_that_quotes_the_token_is_recorded_without_its_message(telemetry: Telemetry) -> None:
    """The message of a rejection is for the client that presented the token."""
    async with host_with(telemetry, Scripted(TokenInvalid(f"{TOKEN} is not good"))) as host:
        with pytest.raises(TokenInvalid):
            await host.verify_token(TOKEN)

    assert "dG9wc2VjcmV0" not in telemetry.everything()


async def test_no_part_of_a_signed_token_is_recorded(telemetry: Telemetry) -> None:
    """Payload and signature are absent, whether it is created, verified or rejected."""
    async with telemetry.host() as host:
        token = await host.create_token("root", expires_after=60)
        await host.verify_token(token)
        with pytest.raises(TokenInvalid):
            await host.verify_token(token[:-3])

    payload, signature = token.removeprefix("dstok_").rsplit(".", 1)
    for part in (payload, signature[:-3]):
        assert part not in telemetry.everything()


@pytest.mark.parametrize("keys", [(), ("name",), ("*", "-id")])
async def test_id_of_the_actor_is_recorded_only_if_the_settings_allow_it(
    telemetry: Telemetry, keys: tuple[str, ...]
) -> None:
    """Without `id` in `HELIOGRAPH_ACTOR`, neither span names the user."""
    async with host_with(telemetry, Scripted({"id": "root"}), actor=keys) as host:
        await host.create_token("root")
        await host.verify_token(TOKEN)

    assert len(telemetry.spans) == 2
    assert "root" not in telemetry.everything()


@pytest.mark.parametrize("actor", [{"role": "robot"}, {}, "an actor of another shape"], ids=repr)
async def test_actor_without_an_id_is_a_valid_result(telemetry: Telemetry, actor: object) -> None:
    """A token may authenticate something that is not a user. Only `None` means that the handler does not recognize it."""
    async with host_with(telemetry, Scripted(actor)) as host:
        assert await host.verify_token(TOKEN) == actor

    [span] = telemetry.spans
    assert span.attributes["heliograph.token.result"] == "valid"
    assert "user.id" not in span.attributes


async def test_operation_is_a_child_of_the_current_span_and_the_parent_of_the_handlers_spans(
    telemetry: Telemetry,
) -> None:
    """The span of an operation is the current one while the handler runs."""

    class Querying(Scripted):
        async def verify_token(self, datasette, token):
            with telemetry.tracer.start_as_current_span("query"):
                return {"id": "root"}

    async with host_with(telemetry, Querying()) as host:
        with telemetry.tracer.start_as_current_span("request"):
            await host.verify_token(TOKEN)

    query, verify, request = telemetry.spans
    assert (query.parent.span_id, verify.parent.span_id) == (verify.context.span_id, request.context.span_id)


@pytest.mark.parametrize(
    "outcome", [{"id": "root"}, TokenRevoked(), OSError("no disk")], ids=lambda each: type(each).__name__
)
async def test_exemplar_of_the_duration_refers_to_the_span(telemetry: Telemetry, outcome: object) -> None:
    """The duration is recorded while the span of the operation is the current one."""
    async with host_with(telemetry, Scripted(outcome)) as host:
        with contextlib.suppress(TokenRevoked, OSError), telemetry.tracer.start_as_current_span("request"):
            await host.verify_token(TOKEN)
        # Before the host is shut down: its flush collects the metrics, and each collection discards the exemplars.
        [point] = telemetry.metrics()["heliograph.token.verify.duration"].data.data_points

    assert [exemplar.span_id for exemplar in point.exemplars] == [telemetry.spans[0].context.span_id]


class FailingTracerProvider(TracerProvider):
    """A provider whose tracer, or whose spans, raise an exception that quotes the token."""

    def __init__(self, *, in_span=False):
        self._in_span = in_span

    def get_tracer(self, *args, **kwargs):
        if not self._in_span:
            raise RuntimeError(TOKEN)
        tracer = Telemetry().tracer_provider.get_tracer("failing")
        tracer.start_span = self._start_span
        return tracer

    def _start_span(self, *args, **kwargs):
        span = NonRecordingSpan(SpanContext(1, 2, is_remote=False))
        span.set_attributes = self._fail
        return span

    def _fail(self, *args, **kwargs):
        raise RuntimeError(TOKEN)


@pytest.mark.parametrize("in_span", [False, True], ids=["tracer", "span"])
async def test_tracer_provider_that_fails_rejects_no_token(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, in_span: bool
) -> None:
    """The caller gets the handler's result, the duration is recorded, and the log names the class of the failure only."""
    handler = Scripted({"id": "root"})
    async with telemetry.host(Handlers([handler]), tracer_provider=FailingTracerProvider(in_span=in_span)) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}
        handler.outcome = OSError(TOKEN)
        with pytest.raises(OSError, match=TOKEN):
            await host.verify_token(TOKEN)

    assert sum(telemetry.counts("heliograph.token.verify.duration").values()) == 2
    assert warnings.messages == ["A provider failed to record a token operation: RuntimeError"]
    assert TOKEN not in warnings.text


class FailingMeterProvider(NoOpMeterProvider):
    """A provider whose histograms raise an exception that quotes the token."""

    def get_meter(self, *args, **kwargs):
        meter = super().get_meter("failing")
        create_histogram = meter.create_histogram

        def create_failing(*args, **kwargs):
            histogram = create_histogram(*args, **kwargs)
            histogram.record = self._fail
            return histogram

        meter.create_histogram = create_failing
        return meter

    def _fail(self, *args, **kwargs):
        raise RuntimeError(TOKEN)


async def test_meter_provider_that_fails_rejects_no_token(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The span is recorded nevertheless, and the log names the class of the failure only."""
    provider: MeterProvider = FailingMeterProvider()
    async with telemetry.host(Handlers([Scripted({"id": "root"})]), meter_provider=provider) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}

    [span] = telemetry.spans
    assert span.attributes["heliograph.token.result"] == "valid"
    assert warnings.messages == ["A provider failed to record a token operation: RuntimeError"]
    assert TOKEN not in warnings.text
