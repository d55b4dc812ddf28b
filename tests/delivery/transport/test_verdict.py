"""The verdict on a request: the meaning of each response, `Retry-After`, and messages without secrets."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import grpc
import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from heliograph.delivery.transport.explain import NOT_OTLP
from heliograph.delivery.transport.response import MAX_RESPONSE_BYTES
from heliograph.delivery.transport.verdict import (
    MAX_MESSAGE,
    MAX_REQUEST_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    Action,
    Reason,
    Verdict,
    check_request_size,
    no_response,
    parse_retry_after,
    printable_message,
    unreadable_response,
    verdict_from_grpc,
    verdict_from_http,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
RETRIED = {429, 502, 503, 504}
PARTIAL = ExportLogsServiceResponse(partial_success={"rejected_log_records": 499, "error_message": "too old"})
WARNING = ExportLogsServiceResponse(partial_success={"error_message": "use a newer schema"})
DELIVERED = Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)


def http(
    status: int, headers: dict[str, str] | None = None, body: bytes = b"", secrets: tuple[str, ...] = ()
) -> Verdict:
    return verdict_from_http(status, headers or {}, body, now=NOW, secrets=secrets)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success_is_a_delivery_without_a_message(status: int) -> None:
    """Any 2xx with an OTLP body is one, and so is OK over gRPC."""
    assert http(status) == DELIVERED
    assert verdict_from_grpc("OK", "") == DELIVERED


def test_partial_success_counts_the_rejected_and_keeps_the_message() -> None:
    """HTTP and gRPC have the same verdict."""
    body = PARTIAL.SerializeToString()

    for verdict in (http(200, body=body), verdict_from_grpc("OK", "", body=body)):
        assert (verdict.action, verdict.reason, verdict.rejected) == (Action.PARTIAL, Reason.PARTIAL_SUCCESS, 499)
        assert "too old" in verdict.message


def test_partial_success_without_rejected_records_is_a_delivery_with_a_warning() -> None:
    """By the specification, a server may use the message alone to warn."""
    verdict = http(200, body=WARNING.SerializeToString())

    assert (verdict.action, verdict.rejected) == (Action.DELIVERED, 0)
    assert verdict.message == "HTTP 200: use a newer schema"


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"ok", b"\x0a" + b"x" * MAX_RESPONSE_BYTES])
def test_success_with_a_body_that_is_not_otlp_delivers_nothing(body: bytes) -> None:
    """Such a response is from another server, like the login page of a proxy; the records are kept."""
    html = {"content-type": "text/html; charset=utf-8"}
    for verdict in (http(200, html, body), verdict_from_grpc("OK", "", body=body)):
        assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.UNREADABLE)


def test_media_type_is_read_in_any_case_and_with_parameters() -> None:
    """Some servers reply in JSON to a request in protobuf."""
    body = b'{"partialSuccess": {"rejectedLogRecords": "2"}}'

    assert http(200, {"content-type": "Application/JSON"}, body).rejected == 2
    assert http(200, {"content-type": "application/json; charset=utf-8"}, body).rejected == 2


def test_exactly_four_statuses_are_retried() -> None:
    """429, 502, 503 and 504, as the specification lists them."""
    assert {status for status in range(100, 600) if http(status).action is Action.RETRY} == RETRIED


@pytest.mark.parametrize(
    ("status", "action", "reason"),
    [
        (101, Action.HOLD, Reason.UNREADABLE),
        (301, Action.HOLD, Reason.REDIRECT),
        (302, Action.HOLD, Reason.REDIRECT),
        (307, Action.HOLD, Reason.REDIRECT),
        (308, Action.HOLD, Reason.REDIRECT),
        (400, Action.BAD_DATA, Reason.BAD_DATA),
        (401, Action.HOLD, Reason.UNAUTHENTICATED),
        (402, Action.HOLD, Reason.FORBIDDEN),
        (403, Action.HOLD, Reason.FORBIDDEN),
        (404, Action.HOLD, Reason.NOT_FOUND),
        (405, Action.HOLD, Reason.NOT_FOUND),
        (406, Action.HOLD, Reason.UNSUPPORTED),
        (407, Action.HOLD, Reason.UNAUTHENTICATED),
        (408, Action.HOLD, Reason.TIMEOUT),
        (410, Action.HOLD, Reason.NOT_FOUND),
        (413, Action.SPLIT, Reason.TOO_LARGE),
        (415, Action.HOLD, Reason.UNSUPPORTED),
        (421, Action.HOLD, Reason.NOT_FOUND),
        (422, Action.BAD_DATA, Reason.BAD_DATA),
        (426, Action.HOLD, Reason.UNSUPPORTED),
        (429, Action.RETRY, Reason.THROTTLED),
        (431, Action.HOLD, Reason.UNSUPPORTED),
        (451, Action.HOLD, Reason.FORBIDDEN),
        (409, Action.HOLD, Reason.REFUSED),
        (425, Action.HOLD, Reason.REFUSED),
        (499, Action.HOLD, Reason.REFUSED),
        (500, Action.HOLD, Reason.UNAVAILABLE),
        (507, Action.HOLD, Reason.UNAVAILABLE),
        (501, Action.HOLD, Reason.UNSUPPORTED),
        (502, Action.RETRY, Reason.UNAVAILABLE),
        (503, Action.RETRY, Reason.UNAVAILABLE),
        (504, Action.RETRY, Reason.UNAVAILABLE),
        (505, Action.HOLD, Reason.UNSUPPORTED),
        (511, Action.HOLD, Reason.UNAUTHENTICATED),
        (519, Action.HOLD, Reason.UNAVAILABLE),
        (520, Action.HOLD, Reason.UNAVAILABLE),
        (530, Action.HOLD, Reason.UNAVAILABLE),
        (531, Action.HOLD, Reason.UNAVAILABLE),
        (599, Action.HOLD, Reason.UNAVAILABLE),
        (999, Action.HOLD, Reason.REFUSED),
    ],
)
def test_verdict_of_an_http_status(status: int, action: Action, reason: Reason) -> None:
    """Only 400, 413 and 422 can be about the data. After every other status all records wait."""
    verdict = http(status)

    assert (verdict.action, verdict.reason, verdict.message) == (action, reason, f"HTTP {status}")


GRPC = {
    "OK": Action.DELIVERED,
    "CANCELLED": Action.RETRY,
    "UNKNOWN": Action.HOLD,
    "INVALID_ARGUMENT": Action.BAD_DATA,
    "DEADLINE_EXCEEDED": Action.RETRY,
    "NOT_FOUND": Action.HOLD,
    "ALREADY_EXISTS": Action.HOLD,
    "PERMISSION_DENIED": Action.HOLD,
    "UNAUTHENTICATED": Action.HOLD,
    "RESOURCE_EXHAUSTED": Action.HOLD,
    "FAILED_PRECONDITION": Action.HOLD,
    "ABORTED": Action.RETRY,
    "OUT_OF_RANGE": Action.RETRY,
    "UNIMPLEMENTED": Action.HOLD,
    "INTERNAL": Action.HOLD,
    "UNAVAILABLE": Action.RETRY,
    "DATA_LOSS": Action.RETRY,
}


@pytest.mark.parametrize("code", [code.name for code in grpc.StatusCode])
def test_verdict_of_a_grpc_code(code: str) -> None:
    """Only INVALID_ARGUMENT can be about the data. After every other code all records wait."""
    assert verdict_from_grpc(code, "").action is GRPC[code]


def test_resource_exhausted_with_a_retry_info_is_retried() -> None:
    """The `RetryInfo` means that the server throttles. Without one, somebody has to raise a quota."""
    verdict = verdict_from_grpc("RESOURCE_EXHAUSTED", "slow down", retry_delay_seconds=30.0)

    assert (verdict.action, verdict.reason, verdict.retry_after_seconds) == (Action.RETRY, Reason.THROTTLED, 30.0)
    assert verdict_from_grpc("RESOURCE_EXHAUSTED", "slow down", retry_delay_seconds=0.0).action is Action.RETRY


def test_retry_delay_of_grpc_applies_to_every_code_and_is_a_day_at_most() -> None:
    """The same limit applies to `Retry-After` over HTTP."""
    assert verdict_from_grpc("UNAVAILABLE", "", retry_delay_seconds=7.0).retry_after_seconds == 7.0
    assert verdict_from_grpc("UNAVAILABLE", "", retry_delay_seconds=1e9).retry_after_seconds == MAX_RETRY_AFTER_SECONDS
    assert verdict_from_grpc("UNAVAILABLE", "").retry_after_seconds is None


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "Received message larger than max (5000000 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5000000 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "grpc: received message after decompression larger than max 4194304"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
        ("RESOURCE_EXHAUSTED", "Received message exceeds the maximum configured message size."),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes"),
        ("RESOURCE_EXHAUSTED", "request is too large"),
        ("RESOURCE_EXHAUSTED", "payload too big"),
    ],
)
def test_messages_of_the_libraries_about_sizes_mean_too_large(code: str, details: str) -> None:
    """The same message would always fail, so a smaller one is sent."""
    verdict = verdict_from_grpc(code, details)

    assert (verdict.action, verdict.reason) == (Action.SPLIT, Reason.TOO_LARGE)


@pytest.mark.parametrize(
    "details",
    [
        "",
        "quota exceeded",
        "rate limit exceeded",
        "too many requests",
        "no space left",
        "quota exceeded for the maximum size of this plan",
        "request rate is too large",
    ],
)
def test_exhausted_quota_is_no_fault_of_the_data(details: str) -> None:
    """All records wait, and none of them counts as bad."""
    verdict = verdict_from_grpc("RESOURCE_EXHAUSTED", details)

    assert (verdict.action, verdict.reason) == (Action.HOLD, Reason.THROTTLED)


def test_request_above_64_mib_is_to_be_split() -> None:
    """A request that is too large is not sent at all; an empty one is a mistake of the caller."""
    too_large = check_request_size(bytes(MAX_REQUEST_BYTES + 1))

    assert check_request_size(b"x") is None
    assert check_request_size(bytes(MAX_REQUEST_BYTES)) is None
    assert too_large is not None
    assert (too_large.action, too_large.reason) == (Action.SPLIT, Reason.TOO_LARGE)
    with pytest.raises(ValueError, match="empty"):
        check_request_size(b"")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 30 ", 30.0),
        ("0", 0.0),
        ("000000000000000000003", 3.0),
        ("9" * 5000, MAX_RETRY_AFTER_SECONDS),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
        ("", None),
        ("-3", None),
        ("²", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("Fri, 31 Dec 99999999 23:59:59 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """The date may have any format of HTTP. The wait is a day at most, and `None` for anything else."""
    assert parse_retry_after(value, NOW) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ (GMT|[+-]\d{1,9})"))
def test_any_retry_after_is_at_most_a_day(value: str) -> None:
    """No header of a server gives a negative time, or an exception."""
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(0, 3600))
def test_date_in_retry_after_is_compared_with_the_servers_clock(seconds: int) -> None:
    """With the response's own `Date`, a wrong clock on this machine changes nothing."""
    there = NOW + timedelta(days=400)
    headers = {
        "date": format_datetime(there, usegmt=True),
        "retry-after": format_datetime(there + timedelta(seconds=seconds), usegmt=True),
    }

    assert http(503, headers).retry_after_seconds == seconds
    assert http(503, {**headers, "date": "nonsense"}).retry_after_seconds == MAX_RETRY_AFTER_SECONDS
    assert http(429, {"retry-after": str(seconds)}).retry_after_seconds == seconds
    assert http(503).retry_after_seconds is None


def test_request_without_a_response_is_retried() -> None:
    """The verdict has its reason, and the message has no secrets."""
    verdict = no_response(Reason.TIMEOUT, "no luck with canary", ["canary"])

    assert verdict == Verdict(action=Action.RETRY, reason=Reason.TIMEOUT, message="no response: no luck with ***")


def test_unreadable_response_keeps_the_records() -> None:
    """The message has the problem, and no secrets."""
    verdict = unreadable_response("HTTP 200", "text/canary", ["canary"])

    assert (verdict.action, verdict.message) == (Action.HOLD, f"HTTP 200: the response is text/***; {NOT_OTLP}")


@given(st.text(), st.text())
def test_any_message_is_one_short_printable_line(status: str, text: str) -> None:
    """The server may send anything."""
    line = printable_message(status, text)

    assert line.isprintable()
    assert len(line) <= MAX_MESSAGE


def test_control_characters_are_escaped() -> None:
    """A status message of protobuf, for example, may contain such characters."""
    body = Status(message="line one\nline two\x1b[31m").SerializeToString()

    assert (
        http(400, {"content-type": "application/x-protobuf"}, body).message == r"HTTP 400: line one\nline two\x1b[31m"
    )


def test_long_message_is_cut_with_a_mark() -> None:
    """A message that just fits is not cut."""
    assert printable_message("HTTP 400", "x" * 1000).endswith("x…")
    assert printable_message("", "x" * (MAX_MESSAGE - 2)) == ": " + "x" * (MAX_MESSAGE - 2)


@given(st.integers(0, 600))
def test_secrets_are_removed_from_every_kind_of_message(place: int) -> None:
    """No part of a secret remains where the message is cut."""
    text = "x" * place + "Bearer CANARY-0123456789" + "CANARY-0123456789"
    secrets = ("CANARY-0123456789", "Bearer CANARY-0123456789")

    for verdict in (
        http(401, {"content-type": "text/plain"}, text.encode(), secrets),
        http(200, {"content-type": "text/CANARY-0123456789"}, text.encode(), secrets),
        http(200, {}, ExportLogsServiceResponse(partial_success={"error_message": text}).SerializeToString(), secrets),
        verdict_from_grpc("UNAUTHENTICATED", text, secrets=secrets),
    ):
        assert "CANARY" not in repr(verdict)


def test_repeated_secret_does_not_show_at_the_end_of_a_long_text() -> None:
    """Wherever a text is cut, no part of a secret is left over."""
    secret = "s" * 3000

    assert "s" not in printable_message("x", secret * 30, [secret])


def test_longer_secret_is_removed_first() -> None:
    """If `abc` were replaced before `abc123`, the `123` would stay."""
    assert "123" not in printable_message("x", "wrong key abc123", ["abc", "abc123"])
