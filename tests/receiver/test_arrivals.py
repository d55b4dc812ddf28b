"""Events and operations on tokens are found in what arrives, once each."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from heliograph.receiver.arrivals import MAX_IDENTITY, FirstArrivals, arrivals, names
from receiver.requests import NOON, TRACE, log_request, span_request


def test_event_as_log_record() -> None:
    """Actor and token come from the attributes."""
    request = log_request(
        "app.ban", trace=TRACE, body="root banned", log__record__uid="u", user__id="root", heliograph__token__id="t"
    )

    [arrival] = arrivals(request)

    assert (arrival.name, arrival.is_event, arrival.time_unix_nano) == ("app.ban", True, NOON)
    assert (arrival.actor, arrival.body, arrival.token_id) == ("root", "root banned", "t")
    assert (arrival.trace_id, arrival.identity, arrival.service) == (TRACE.hex(), "u", "shop")


def test_event_of_which_nothing_is_known() -> None:
    """Missing values are empty texts. The time is that of the observation."""
    request = log_request("app.ban", trace=bytes(16))
    [record] = request.resource_logs[0].scope_logs[0].log_records
    record.ClearField("body")
    record.time_unix_nano, record.observed_time_unix_nano = 0, 7
    request.resource_logs[0].ClearField("resource")

    [arrival] = arrivals(request)

    assert (arrival.actor, arrival.body, arrival.token_id, arrival.trace_id, arrival.identity, arrival.service) == (
        "",
    ) * 6
    assert arrival.time_unix_nano == 7


def test_event_as_span_event() -> None:
    """A span event with a unique id is an event of an application, and others are not."""
    [arrival] = arrivals(span_request("GET /", "app.ban", uid="u"))

    assert (arrival.name, arrival.is_event, arrival.actor, arrival.body) == ("app.ban", True, "ada", "")
    assert (arrival.trace_id, arrival.identity, arrival.service) == (TRACE.hex(), "u", "shop")
    assert list(arrivals(span_request("GET /", "exception"))) == []


def test_operation_on_a_token() -> None:
    """The body of such an arrival is the result of the operation."""
    request = span_request("token.verify", heliograph__token__result="expired", user__id="ada")

    [arrival] = arrivals(request)

    assert (arrival.name, arrival.is_event, arrival.actor, arrival.body) == ("token.verify", False, "ada", "expired")


def test_other_telemetry_has_no_events() -> None:
    """Log records without an event name, spans, and metrics."""
    for request in (log_request(""), span_request("GET /"), ExportMetricsServiceRequest()):
        assert list(arrivals(request)) == []
        assert list(names(request)) == []


def test_names_without_the_rest() -> None:
    """Names of log records and of spans are enough, since an event usually arrives as a log record, too."""
    assert list(names(log_request("app.a", "", "app.b"))) == ["app.a", "app.b"]
    assert list(names(span_request("token.create", "app.a", uid="u"))) == ["token.create"]


def test_actor_of_another_type_is_text() -> None:
    """Any program may send, and a hash takes the place of an id."""
    request = log_request("app.a", user__hash="h")
    [record] = request.resource_logs[0].scope_logs[0].log_records
    assert next(arrivals(request)).actor == "h"

    record.attributes.append(KeyValue(key="user.id", value=AnyValue(int_value=7)))

    assert next(arrivals(request)).actor == "7"


def test_first_arrivals_of_each() -> None:
    """The log record and the span event of one event are the same event. The oldest identities are forgotten."""
    first = FirstArrivals(limit=2)

    def is_first(uid: str) -> bool:
        return first.is_first(next(arrivals(log_request("app.a", log__record__uid=uid))))

    assert [is_first(uid) for uid in ("a", "a", "b", "a", "c", "a")] == [True, False, True, False, True, True]
    assert not first.is_first(next(arrivals(span_request("GET /", "app.a", uid="a"))))
    assert [is_first("") for _ in range(2)] == [True, True]
    assert [is_first("x" * (MAX_IDENTITY + 1)) for _ in range(2)] == [True, True]
