"""The verdict on a request: what a server's response means for the records in it. Pure functions, no I/O.

Sources: OTLP specification, OTLP/gRPC response and OTLP/HTTP response (which codes may be retried, partial success,
throttling); RFC 9110, Retry-After.

A response is about the data or about the destination:

- It may be about the data (400, 422, gRPC's INVALID_ARGUMENT; for its size 413, and gRPC's messages about sizes). The sender
  finds out which record caused it, and if it is the data at all (`Action.BAD_DATA`, `Action.SPLIT`).
- Everything else is about the destination, or the way to it (401, 404, 500, a redirect, a login page with status 200). It says
  nothing about the data, which stays in the outbox until the destination works (`Action.HOLD`, `Action.RETRY`).

The specification tells clients to drop the data after any status that it does not list. That is not done here: a server that
fails for some minutes responds with any status, and would empty the outbox.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

from heliograph.delivery.transport.explain import NOT_OTLP
from heliograph.delivery.transport.response import Response, read_response, read_status_message

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
MAX_RETRY_AFTER_SECONDS: Final = 24 * 60 * 60.0
MAX_MESSAGE: Final = 512

_MAX_DIGITS: Final = 12
_SUCCESS: Final = range(200, 300)
_SERVER_ERRORS: Final = range(500, 600)


class Action(enum.Enum):
    """The next step for the records of a request."""

    DELIVERED = "delivered"
    """The server accepted all records. Acknowledge them."""
    PARTIAL = "partial"
    """The server accepted some records and rejected the others for good. Acknowledge all: the request must not be
    repeated."""
    RETRY = "retry"
    """The server, or the way to it, failed for the moment. Send the same request again later."""
    SPLIT = "split"
    """The request is too large. Send smaller ones; a single record that is too large becomes a dead letter."""
    HOLD = "hold"
    """The destination accepts no request at present, whatever its data. Keep every record, and try again later."""
    BAD_DATA = "bad_data"
    """The server says that the data is invalid. A request of several records is split, to find the one that is rejected. It
    becomes a dead letter if the server accepts others, and refuses it again."""


class Reason(str, enum.Enum):
    """The reason of a verdict. The set is closed, because the values are attributes of metrics.

    `_HTTP` and `_GRPC`, below, have the reason of each status code.
    """

    ACCEPTED = "accepted"
    """The server accepted all records."""
    PARTIAL_SUCCESS = "partial_success"
    """The server accepted some records and rejected the others for good."""
    THROTTLED = "throttled"
    """The server gets more than it, or a quota, allows."""
    UNAVAILABLE = "unavailable"
    """The server, or a proxy before it, fails at present."""
    CONNECTION = "connection"
    """The server cannot be reached, or the connection ended before its response."""
    TIMEOUT = "timeout"
    """There was no response within the timeout."""
    TLS = "tls"
    """The connection cannot be encrypted: a certificate is missing or not trusted, for example."""
    PROXY = "proxy"
    """The proxy opened no connection to the server."""
    CANCELLED = "cancelled"
    """The request was cancelled, by `Transport.close` or by the server."""
    TOO_LARGE = "too_large"
    """The request is larger than the server, or `MAX_REQUEST_BYTES`, allows."""
    UNAUTHENTICATED = "unauthenticated"
    """The server, or a proxy before it, does not accept the credentials, or there are none."""
    FORBIDDEN = "forbidden"
    """The server knows the sender, and does not allow it to send."""
    NOT_FOUND = "not_found"
    """The address has no OTLP receiver, or has none for this signal."""
    REDIRECT = "redirect"
    """The server names another address. It is not used."""
    UNSUPPORTED = "unsupported"
    """The server does not support the form of the request: its encoding, compression or protocol, or the size of its headers."""
    UNREADABLE = "unreadable"
    """The response is not one of OTLP, so the server is probably another one."""
    BAD_DATA = "bad_data"
    """The server says that the data is invalid."""
    REFUSED = "refused"
    """The server refuses the request with a status that has no reason of its own."""
    INTERNAL = "internal"
    """heliograph could not make the request: an exception was raised."""


DEAD_REASONS: Final = (Reason.BAD_DATA, Reason.TOO_LARGE, Reason.INTERNAL)
"""The reasons of dead letters."""
RETRY_REASONS: Final = tuple(reason for reason in Reason if reason not in {Reason.ACCEPTED, Reason.PARTIAL_SUCCESS})
"""The reasons of requests that are sent again: as they were, or in parts."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The meaning of a response, or of its absence.

    Attributes:
        action: The next step for the records of the request.
        reason: The reason, for metrics.
        retry_after_seconds: The shortest wait that the server asked for; `None` if it asked for none.
        rejected: The number of records that the server rejected, as the server reports it. It may be more than the
            request contained.
        message: The status and the server's text for people: printable, at most 512 characters, without the values of
            request headers.
        explanation: The mistake in the endpoint that explains the verdict, one of the texts of `explain`; empty without one.
    """

    action: Action
    reason: Reason
    retry_after_seconds: float | None = None
    rejected: int = 0
    message: str = ""
    explanation: str = ""


_HTTP: Final[Mapping[int, tuple[Action, Reason]]] = {
    429: (Action.RETRY, Reason.THROTTLED),
    502: (Action.RETRY, Reason.UNAVAILABLE),
    503: (Action.RETRY, Reason.UNAVAILABLE),
    504: (Action.RETRY, Reason.UNAVAILABLE),
    413: (Action.SPLIT, Reason.TOO_LARGE),
    401: (Action.HOLD, Reason.UNAUTHENTICATED),
    407: (Action.HOLD, Reason.UNAUTHENTICATED),
    511: (Action.HOLD, Reason.UNAUTHENTICATED),
    402: (Action.HOLD, Reason.FORBIDDEN),
    403: (Action.HOLD, Reason.FORBIDDEN),
    451: (Action.HOLD, Reason.FORBIDDEN),
    404: (Action.HOLD, Reason.NOT_FOUND),
    405: (Action.HOLD, Reason.NOT_FOUND),
    410: (Action.HOLD, Reason.NOT_FOUND),
    421: (Action.HOLD, Reason.NOT_FOUND),
    406: (Action.HOLD, Reason.UNSUPPORTED),
    415: (Action.HOLD, Reason.UNSUPPORTED),
    426: (Action.HOLD, Reason.UNSUPPORTED),
    431: (Action.HOLD, Reason.UNSUPPORTED),
    501: (Action.HOLD, Reason.UNSUPPORTED),
    505: (Action.HOLD, Reason.UNSUPPORTED),
    # The server did not get the whole request, so this says nothing about the data.
    408: (Action.HOLD, Reason.TIMEOUT),
    400: (Action.BAD_DATA, Reason.BAD_DATA),
    422: (Action.BAD_DATA, Reason.BAD_DATA),
    **dict.fromkeys(range(100, 200), (Action.HOLD, Reason.UNREADABLE)),
    # A redirect is never followed: the credentials would go to another server.
    **dict.fromkeys(range(300, 400), (Action.HOLD, Reason.REDIRECT)),
}
_HTTP_SERVER_ERROR: Final = (Action.HOLD, Reason.UNAVAILABLE)
_HTTP_UNKNOWN: Final = (Action.HOLD, Reason.REFUSED)

_GRPC: Final[Mapping[str, tuple[Action, Reason]]] = {
    "CANCELLED": (Action.RETRY, Reason.CANCELLED),
    "DEADLINE_EXCEEDED": (Action.RETRY, Reason.TIMEOUT),
    "ABORTED": (Action.RETRY, Reason.UNAVAILABLE),
    "OUT_OF_RANGE": (Action.RETRY, Reason.UNAVAILABLE),
    "UNAVAILABLE": (Action.RETRY, Reason.UNAVAILABLE),
    "DATA_LOSS": (Action.RETRY, Reason.UNAVAILABLE),
    "UNAUTHENTICATED": (Action.HOLD, Reason.UNAUTHENTICATED),
    "PERMISSION_DENIED": (Action.HOLD, Reason.FORBIDDEN),
    "NOT_FOUND": (Action.HOLD, Reason.NOT_FOUND),
    "UNIMPLEMENTED": (Action.HOLD, Reason.NOT_FOUND),
    "INTERNAL": (Action.HOLD, Reason.UNAVAILABLE),
    "UNKNOWN": (Action.HOLD, Reason.UNAVAILABLE),
    # Only with a RetryInfo does the specification call this throttling, but a quota without one is no fault of the data either.
    "RESOURCE_EXHAUSTED": (Action.HOLD, Reason.THROTTLED),
    "INVALID_ARGUMENT": (Action.BAD_DATA, Reason.BAD_DATA),
}
_GRPC_SIZE_CODES: Final = frozenset({"RESOURCE_EXHAUSTED", "OUT_OF_RANGE"})
_GRPC_UNKNOWN: Final = (Action.HOLD, Reason.REFUSED)
# The texts of the gRPC libraries about a message above their limit: "Received message larger than max (5000000 vs. 4194304)" (C,
# Go), "gRPC message exceeds maximum size 4194304: 5000000" (Java), "decoded message length too large" (Rust), "Received
# message exceeds the maximum configured message size" (.NET). A text about a quota must not match: "rate limit exceeded", "quota
# exceeded for the maximum size of this plan", "request rate is too large".
_GRPC_TOO_LARGE: Final = re.compile(
    r"\b(message|payload|body|entity)\b.*(larger than|too (large|big)|max(imum)?\b.*\bsize|size\b.*\bmax(imum)?\b)"
    r"|\brequest (is |was )?(larger than|too (large|big))",
    re.IGNORECASE,
)


def verdict_from_http(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: datetime,
    secrets: Iterable[str] = (),
    label: str = "",
    explanation: str = "",
) -> Verdict:
    """Return the verdict of a response over HTTP.

    Args:
        status: The status code.
        headers: The headers of the response, by lower-case name.
        body: The body; the caller may cut it after 4 MiB and one byte.
        now: The current time, for a date in `Retry-After` if the response has no `Date` of its own.
        secrets: Texts to remove from the message, like the values of the request's headers.
        label: The beginning of the message. The default is the status.
        explanation: See `Verdict`.
    """
    label = label or f"HTTP {status}"
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if status in _SUCCESS:
        return _verdict_from_success(label, body, media_type, secrets)
    action, reason = _HTTP.get(status, _HTTP_SERVER_ERROR if status in _SERVER_ERRORS else _HTTP_UNKNOWN)
    return Verdict(
        action=action,
        reason=reason,
        retry_after_seconds=_retry_after(headers, now),
        message=printable_message(label, read_status_message(body, media_type), secrets),
        explanation=explanation,
    )


def verdict_from_grpc(
    code: str,
    details: str,
    *,
    body: bytes = b"",
    retry_delay_seconds: float | None = None,
    secrets: Iterable[str] = (),
) -> Verdict:
    """Return the verdict of a response over gRPC.

    Args:
        code: The name of the status code.
        details: The text of the status.
        body: The response message, if the code is OK.
        retry_delay_seconds: The delay of a `RetryInfo` in the status; `None` without one.
        secrets: Texts to remove from the message, like the values of the request's metadata.
    """
    if code == "OK":
        return _verdict_from_success("gRPC OK", body, "", secrets)
    action, reason = _GRPC.get(code, _GRPC_UNKNOWN)
    if code == "RESOURCE_EXHAUSTED" and retry_delay_seconds is not None:
        action = Action.RETRY
    elif code in _GRPC_SIZE_CODES and _GRPC_TOO_LARGE.search(details):
        # The same message would never be accepted.
        action, reason = Action.SPLIT, Reason.TOO_LARGE
    return Verdict(
        action=action,
        reason=reason,
        retry_after_seconds=None if retry_delay_seconds is None else min(retry_delay_seconds, MAX_RETRY_AFTER_SECONDS),
        message=printable_message(f"gRPC {code}", details, secrets),
    )


def check_request_size(body: bytes) -> Verdict | None:
    """Return the verdict on a request that is too large to be sent at all; `None` if it can be sent.

    Raises:
        ValueError: The request is empty.
    """
    if not body:
        raise ValueError("the body is empty; a request needs at least one record")
    if len(body) <= MAX_REQUEST_BYTES:
        return None
    message = f"not sent: {len(body)} bytes, and the limit for a request is {MAX_REQUEST_BYTES}"
    return Verdict(action=Action.SPLIT, reason=Reason.TOO_LARGE, message=message)


def unreadable_response(status: str, problem: str, secrets: Iterable[str] = ()) -> Verdict:
    """Return the verdict of a success that is not in OTLP: it is from some other server, and nothing was delivered.

    Typical cases are the login page of a proxy, and a port where another service listens.
    """
    message = printable_message(status, f"the response is {problem}; {NOT_OTLP}", secrets)
    return Verdict(action=Action.HOLD, reason=Reason.UNREADABLE, message=message, explanation=NOT_OTLP)


def no_response(reason: Reason, problem: str, secrets: Iterable[str] = (), *, explanation: str = "") -> Verdict:
    """Return the verdict of a request without a response: send it again. The server may have stored its records."""
    message = printable_message("no response", problem, secrets)
    return Verdict(action=Action.RETRY, reason=reason, message=message, explanation=explanation)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks to wait, at most a day; `None` if it cannot be parsed."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value.lstrip("0")[:_MAX_DIGITS] or 0), MAX_RETRY_AFTER_SECONDS)
    date = _parse_date(value)
    return None if date is None else min(max(0.0, (date - now).total_seconds()), MAX_RETRY_AFTER_SECONDS)


def printable_message(status: str, text: str, secrets: Iterable[str] = ()) -> str:
    """Return the status and the server's text as one printable line of at most 512 characters, without the secrets."""
    # The longest first: if `abc` were replaced before `abc123`, the `123` would stay readable.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    # Cut only after the replacement: half a secret at the cut would not be found. The transports have bounded the text.
    line = f"{status}: {text.strip()}" if text.strip() else status
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line[: MAX_MESSAGE + 1])
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def _verdict_from_success(status: str, body: bytes, media_type: str, secrets: Iterable[str]) -> Verdict:
    try:
        response = read_response(body, media_type)
    except ValueError as error:
        return unreadable_response(status, str(error), secrets)
    message = printable_message(status, response.message, secrets) if response != Response() else ""
    if response.rejected:
        return Verdict(
            action=Action.PARTIAL, reason=Reason.PARTIAL_SUCCESS, rejected=response.rejected, message=message
        )
    return Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED, message=message)


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds to wait. A date is compared with the server's own clock (`Date`), in case ours is wrong."""
    value = headers.get("retry-after")
    return None if value is None else parse_retry_after(value, _parse_date(headers.get("date", "")) or now)


def _parse_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    # Python 3.10 raises TypeError, ValueError or IndexError for text that is not a date, and OverflowError for a year
    # that is too large.
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
