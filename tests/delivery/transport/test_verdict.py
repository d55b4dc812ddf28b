"""What an answer means for the request, and how long to wait for the next try."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import grpc
import pytest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from heliograph.delivery.transport.response import MAX_RESPONSE_BYTES
from heliograph.delivery.transport.verdict import (
    MAX_MESSAGE,
    MAX_REQUEST_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    Backoff,
    Judgement,
    Reason,
    Verdict,
    judge_grpc,
    judge_http,
    judge_size,
    parse_retry_after,
    shown,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
RETRIED = {429, 502, 503, 504}
PARTIAL = ExportLogsServiceResponse(partial_success={"rejected_log_records": 499, "error_message": "too old"})
WARNING = ExportLogsServiceResponse(partial_success={"error_message": "use a newer schema"})


def http(
    status: int, headers: dict[str, str] | None = None, body: bytes = b"", hidden: tuple[str, ...] = ()
) -> Judgement:
    return judge_http(status, headers or {}, body, now=NOW, hidden=hidden)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_success(status: int) -> None:
    """A 2xx whose body is an answer is a delivery, and there is nothing to say about it."""
    assert http(status) == Judgement(verdict=Verdict.DELIVERED, reason=Reason.ACCEPTED)
    assert judge_grpc("OK", "") == Judgement(verdict=Verdict.DELIVERED, reason=Reason.ACCEPTED)


def test_partial_success() -> None:
    """The rejected are counted and the message is kept; the request is not sent again."""
    body = PARTIAL.SerializeToString()

    for judged in (http(200, body=body), judge_grpc("OK", "", body=body)):
        assert (judged.verdict, judged.reason, judged.rejected) == (Verdict.PARTIAL, Reason.PARTIAL_SUCCESS, 499)
        assert "too old" in judged.message


def test_warning_of_a_full_success() -> None:
    """Without a rejected record a message is only that: all were delivered."""
    judged = http(200, body=WARNING.SerializeToString())

    assert (judged.verdict, judged.rejected) == (Verdict.DELIVERED, 0)
    assert judged.message == "HTTP 200: use a newer schema"


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"ok", b"\x0a" + b"x" * MAX_RESPONSE_BYTES])
def test_yes_of_somebody_else(body: bytes) -> None:
    """A 200 whose body is no answer of OTLP comes from somebody else: nothing was delivered, nothing is dropped."""
    for judged in (http(200, {"content-type": "text/html; charset=utf-8"}, body), judge_grpc("OK", "", body=body)):
        assert (judged.verdict, judged.reason) == (Verdict.PARK, Reason.UNREADABLE)


@pytest.mark.parametrize("status", range(100, 600))
def test_only_four_statuses_are_retried(status: int) -> None:
    """429, 502, 503, 504, and no other."""
    assert (http(status).verdict is Verdict.RETRY) == (status in RETRIED)


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [
        (101, Verdict.PARK, Reason.UNREADABLE),
        (301, Verdict.PARK, Reason.REDIRECT),
        (302, Verdict.PARK, Reason.REDIRECT),
        (307, Verdict.PARK, Reason.REDIRECT),
        (308, Verdict.PARK, Reason.REDIRECT),
        (400, Verdict.REJECTED, Reason.BAD_DATA),
        (401, Verdict.PARK, Reason.UNAUTHENTICATED),
        (403, Verdict.PARK, Reason.FORBIDDEN),
        (404, Verdict.PARK, Reason.NOT_FOUND),
        (405, Verdict.PARK, Reason.NOT_FOUND),
        (408, Verdict.PARK, Reason.TIMEOUT),
        (413, Verdict.SPLIT, Reason.TOO_LARGE),
        (415, Verdict.PARK, Reason.UNSUPPORTED),
        (422, Verdict.REJECTED, Reason.BAD_DATA),
        (429, Verdict.RETRY, Reason.THROTTLED),
        (500, Verdict.REJECTED, Reason.REFUSED),
        (501, Verdict.PARK, Reason.UNSUPPORTED),
        (503, Verdict.RETRY, Reason.UNAVAILABLE),
        (522, Verdict.PARK, Reason.UNAVAILABLE),
        (599, Verdict.REJECTED, Reason.REFUSED),
    ],
)
def test_verdict_of_a_status(status: int, verdict: Verdict, reason: Reason) -> None:
    """What speaks of the destination keeps the data; what speaks of the data does not send it again."""
    judged = http(status)

    assert (judged.verdict, judged.reason, judged.message) == (verdict, reason, f"HTTP {status}")


GRPC = {
    "CANCELLED": Verdict.RETRY,
    "UNKNOWN": Verdict.REJECTED,
    "INVALID_ARGUMENT": Verdict.REJECTED,
    "DEADLINE_EXCEEDED": Verdict.RETRY,
    "NOT_FOUND": Verdict.PARK,
    "ALREADY_EXISTS": Verdict.REJECTED,
    "PERMISSION_DENIED": Verdict.PARK,
    "UNAUTHENTICATED": Verdict.PARK,
    "RESOURCE_EXHAUSTED": Verdict.SPLIT,
    "FAILED_PRECONDITION": Verdict.REJECTED,
    "ABORTED": Verdict.RETRY,
    "OUT_OF_RANGE": Verdict.RETRY,
    "UNIMPLEMENTED": Verdict.PARK,
    "INTERNAL": Verdict.REJECTED,
    "UNAVAILABLE": Verdict.RETRY,
    "DATA_LOSS": Verdict.RETRY,
    "OK": Verdict.DELIVERED,
}


@pytest.mark.parametrize("code", [code.name for code in grpc.StatusCode])
def test_verdict_of_a_grpc_code(code: str) -> None:
    """Every code that there is has the verdict of the specification's table."""
    assert judge_grpc(code, "").verdict is GRPC[code]


def test_resource_exhausted_with_retry_info_is_retried() -> None:
    """The server says that it recovers, and when; without that word the request was too large."""
    judged = judge_grpc("RESOURCE_EXHAUSTED", "slow down", retry_delay_seconds=30.0)

    assert (judged.verdict, judged.reason, judged.retry_after_seconds) == (Verdict.RETRY, Reason.THROTTLED, 30.0)
    assert judge_grpc("RESOURCE_EXHAUSTED", "slow down", retry_delay_seconds=0.0).verdict is Verdict.RETRY
    assert judge_grpc("UNAVAILABLE", "", retry_delay_seconds=7.0).retry_after_seconds == 7.0


def test_message_that_is_too_large_for_tonic() -> None:
    """Some servers say OUT_OF_RANGE of a message over their limit; smaller ones get through, the same one never would."""
    details = "Error, decoded message length too large: found 5000000 bytes, the limit is: 4194304 bytes"

    assert judge_grpc("OUT_OF_RANGE", details).verdict is Verdict.SPLIT


def test_request_that_is_not_sent() -> None:
    """An empty one is a mistake of the caller; one over 64 MiB has to be split."""
    too_large = judge_size(bytes(MAX_REQUEST_BYTES + 1))

    assert judge_size(b"x") is None
    assert too_large is not None
    assert (too_large.verdict, too_large.reason) == (Verdict.SPLIT, Reason.TOO_LARGE)
    with pytest.raises(ValueError, match="empty"):
        judge_size(b"")


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
def test_retry_after(value: str, seconds: float | None) -> None:
    """Seconds, or a date in any form that HTTP knows; a day at most, and nothing where it is neither."""
    assert parse_retry_after(value, NOW) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ (GMT|[+-]\d{1,9})"))
def test_any_retry_after(value: str) -> None:
    """Whatever a server says is a wait between nothing and a day, or nothing that can be used."""
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(0, 3600))
def test_date_is_read_by_the_clock_of_the_server(seconds: int) -> None:
    """With the answer's own date a wrong clock here changes nothing."""
    there = NOW + timedelta(days=400)
    headers = {
        "date": format_datetime(there, usegmt=True),
        "retry-after": format_datetime(there + timedelta(seconds=seconds), usegmt=True),
    }

    assert http(503, headers).retry_after_seconds == seconds
    assert http(503, {**headers, "date": "nonsense"}).retry_after_seconds == MAX_RETRY_AFTER_SECONDS
    assert http(429, {"retry-after": str(seconds)}).retry_after_seconds == seconds
    assert http(503).retry_after_seconds is None


@given(st.lists(st.none() | st.floats(0, 1000), max_size=60), st.floats(0, 1, exclude_max=True))
def test_backoff(asked: list[float | None], drawn: float) -> None:
    """Full jitter under a ceiling that doubles up to a minute; never before the server said."""
    backoff = Backoff(initial=1, maximum=60, random=lambda: drawn)

    for failures, retry_after in enumerate(asked):
        floor = retry_after or 0.0
        assert backoff.next(retry_after) == floor + drawn * min(60, 2**failures)


def test_backoff_begins_anew() -> None:
    """After a success the first wait is short again; after any number of failures nothing overflows."""
    backoff = Backoff(initial=1, maximum=60, random=lambda: 0.5)

    assert [backoff.next() for _ in range(5000)][-1] == 30
    backoff.reset()
    assert backoff.next() == 0.5


def test_backoff_is_random_by_itself() -> None:
    """Two processes that begin together do not come together."""
    assert len({Backoff().next() for _ in range(20)}) > 1
    assert all(0 <= Backoff().next() < 1 for _ in range(20))


@given(st.text(), st.text())
def test_message_can_be_shown(prefix: str, text: str) -> None:
    """One line, printable, of bounded length, whatever the server says."""
    line = shown(prefix, text)

    assert line.isprintable()
    assert len(line) <= MAX_MESSAGE


def test_message_says_the_status_and_the_servers_words() -> None:
    """Control characters are escaped, what is too long is cut with a mark."""
    body = Status(message="line one\nline two\x1b[31m").SerializeToString()

    assert (
        http(400, {"content-type": "application/x-protobuf"}, body).message == r"HTTP 400: line one\nline two\x1b[31m"
    )
    assert shown("HTTP 400", "x" * 1000).endswith("x…")


@given(st.integers(0, 600))
def test_values_of_headers_are_taken_out_of_what_a_server_says(place: int) -> None:
    """Also where the message is cut."""
    text = "x" * place + "Bearer CANARY-0123456789" + "CANARY-0123456789"
    hidden = ("CANARY-0123456789", "Bearer CANARY-0123456789")

    for judged in (
        http(401, {"content-type": "text/plain"}, text.encode(), hidden),
        http(200, {"content-type": "text/CANARY-0123456789"}, text.encode(), hidden),
        http(200, {}, ExportLogsServiceResponse(partial_success={"error_message": text}).SerializeToString(), hidden),
        judge_grpc("UNAUTHENTICATED", text, hidden=hidden),
    ):
        assert "CANARY" not in repr(judged)
