"""What a server's answer means for the request that it answers, and how long to wait for the next try; pure.

Sources: OTLP specification, OTLP/gRPC response and OTLP/HTTP response (which codes are worth another try, partial
success, throttling); RFC 9110, Retry-After.

A verdict speaks of the data or of the destination. What speaks of the data (400) is never sent again as it is. What
speaks of the destination, or of the way to it (401, 404, a redirect, a login page with status 200), says nothing of the
data: it stays in the outbox until the destination works again.
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Final

from heliograph.delivery.transport.response import Response, read_response, read_status_message

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
MAX_RETRY_AFTER_SECONDS: Final = 24 * 60 * 60.0
MAX_MESSAGE: Final = 512

_MAX_READ: Final = 64 * 1024
"""So much of a server's text is looked at: enough to find secrets in what is shown of it."""
_MAX_DIGITS: Final = 12
_MAX_DOUBLINGS: Final = 32
_SUCCESS: Final = range(200, 300)
_RANDOM: Final = secrets.SystemRandom().random


class Verdict(enum.Enum):
    """What becomes of the records of a request."""

    DELIVERED = "delivered"
    """The server took all of them; it speaks for itself, not for where it sends them on."""
    PARTIAL = "partial"
    """The server took some and rejected the others for good; the request is never sent again."""
    RETRY = "retry"
    """The same request again, after a while."""
    SPLIT = "split"
    """Smaller requests; a single record that is too large is dead."""
    PARK = "park"
    """The destination takes nothing now, whatever is sent: keep all, say so, and see later whether it works again."""
    REJECTED = "rejected"
    """Never again: the records are dead."""


class Reason(str, enum.Enum):
    """Why; a closed set, so that it can be an attribute of a metric."""

    ACCEPTED = "accepted"
    PARTIAL_SUCCESS = "partial_success"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    PROXY = "proxy"
    CANCELLED = "cancelled"
    TOO_LARGE = "too_large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    REDIRECT = "redirect"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"
    BAD_DATA = "bad_data"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What an answer means.

    Attributes:
        verdict: What becomes of the records.
        reason: Why.
        retry_after_seconds: Not before this much later, if the server said so.
        rejected: How many records the server rejected out of the request; as it says, so maybe more than there were.
        message: For people: the status and what the server says, printable, at most 512 characters, without any value
            of a header.
    """

    verdict: Verdict
    reason: Reason
    retry_after_seconds: float | None = None
    rejected: int = 0
    message: str = ""


_HTTP: Final[Mapping[int, tuple[Verdict, Reason]]] = {
    429: (Verdict.RETRY, Reason.THROTTLED),
    502: (Verdict.RETRY, Reason.UNAVAILABLE),
    503: (Verdict.RETRY, Reason.UNAVAILABLE),
    504: (Verdict.RETRY, Reason.UNAVAILABLE),
    413: (Verdict.SPLIT, Reason.TOO_LARGE),
    401: (Verdict.PARK, Reason.UNAUTHENTICATED),
    407: (Verdict.PARK, Reason.UNAUTHENTICATED),
    511: (Verdict.PARK, Reason.UNAUTHENTICATED),
    402: (Verdict.PARK, Reason.FORBIDDEN),
    403: (Verdict.PARK, Reason.FORBIDDEN),
    451: (Verdict.PARK, Reason.FORBIDDEN),
    404: (Verdict.PARK, Reason.NOT_FOUND),
    405: (Verdict.PARK, Reason.NOT_FOUND),
    410: (Verdict.PARK, Reason.NOT_FOUND),
    421: (Verdict.PARK, Reason.NOT_FOUND),
    406: (Verdict.PARK, Reason.UNSUPPORTED),
    415: (Verdict.PARK, Reason.UNSUPPORTED),
    426: (Verdict.PARK, Reason.UNSUPPORTED),
    431: (Verdict.PARK, Reason.UNSUPPORTED),
    501: (Verdict.PARK, Reason.UNSUPPORTED),
    505: (Verdict.PARK, Reason.UNSUPPORTED),
    408: (Verdict.PARK, Reason.TIMEOUT),  # the request never arrived whole, so nothing was said about its data
    400: (Verdict.REJECTED, Reason.BAD_DATA),
    422: (Verdict.REJECTED, Reason.BAD_DATA),
    **dict.fromkeys(range(100, 200), (Verdict.PARK, Reason.UNREADABLE)),
    **dict.fromkeys(range(300, 400), (Verdict.PARK, Reason.REDIRECT)),  # followed nowhere: credentials would go along
    **dict.fromkeys(range(520, 531), (Verdict.PARK, Reason.UNAVAILABLE)),  # a CDN's, that cannot reach the server
}

_GRPC: Final[Mapping[str, tuple[Verdict, Reason]]] = {
    "CANCELLED": (Verdict.RETRY, Reason.CANCELLED),
    "DEADLINE_EXCEEDED": (Verdict.RETRY, Reason.TIMEOUT),
    "ABORTED": (Verdict.RETRY, Reason.UNAVAILABLE),
    "OUT_OF_RANGE": (Verdict.RETRY, Reason.UNAVAILABLE),
    "UNAVAILABLE": (Verdict.RETRY, Reason.UNAVAILABLE),
    "DATA_LOSS": (Verdict.RETRY, Reason.UNAVAILABLE),
    "UNAUTHENTICATED": (Verdict.PARK, Reason.UNAUTHENTICATED),
    "PERMISSION_DENIED": (Verdict.PARK, Reason.FORBIDDEN),
    "NOT_FOUND": (Verdict.PARK, Reason.NOT_FOUND),
    "UNIMPLEMENTED": (Verdict.PARK, Reason.NOT_FOUND),
    "INVALID_ARGUMENT": (Verdict.REJECTED, Reason.BAD_DATA),
}


def judge_http(
    status: int, headers: Mapping[str, str], body: bytes, *, now: datetime, hidden: Iterable[str] = ()
) -> Judgement:
    """What an answer over HTTP means.

    Args:
        status: Its status code.
        headers: Its headers, by their names in lower case.
        body: Its body; more than 4 MiB need not be given.
        now: For a date in `Retry-After`, where the answer has no date of its own.
        hidden: What to take out of the server's words: the values of the request's headers.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if status in _SUCCESS:
        return _judge_accepted(f"HTTP {status}", body, media_type, hidden)
    verdict, reason = _HTTP.get(status, (Verdict.REJECTED, Reason.REFUSED))
    return Judgement(
        verdict=verdict,
        reason=reason,
        retry_after_seconds=_retry_after(headers, now),
        message=shown(f"HTTP {status}", read_status_message(body, media_type), hidden),
    )


def judge_grpc(
    code: str,
    details: str,
    *,
    body: bytes = b"",
    retry_delay_seconds: float | None = None,
    hidden: Iterable[str] = (),
) -> Judgement:
    """What an answer over gRPC means.

    Args:
        code: The name of its status code.
        details: The text beside it.
        body: The message, when the code is OK.
        retry_delay_seconds: What a `RetryInfo` in its details asks for.
        hidden: What to take out of the server's words: the values of the request's headers.
    """
    if code == "OK":
        return _judge_accepted("gRPC OK", body, "", hidden)
    verdict, reason = _GRPC.get(code, (Verdict.REJECTED, Reason.REFUSED))
    if code == "RESOURCE_EXHAUSTED":
        throttled = retry_delay_seconds is not None
        verdict, reason = (Verdict.RETRY, Reason.THROTTLED) if throttled else (Verdict.SPLIT, Reason.TOO_LARGE)
    elif code == "OUT_OF_RANGE" and "too large" in details:
        # Servers built on Rust's tonic say so of a message over their limit; the same one again would never get through.
        verdict, reason = Verdict.SPLIT, Reason.TOO_LARGE
    return Judgement(
        verdict=verdict,
        reason=reason,
        retry_after_seconds=None if retry_delay_seconds is None else min(retry_delay_seconds, MAX_RETRY_AFTER_SECONDS),
        message=shown(f"gRPC {code}", details, hidden),
    )


def judge_size(body: bytes) -> Judgement | None:
    """What a request means that is too large to be sent at all; `None` for any other.

    Raises:
        ValueError: The request is empty, which is none.
    """
    if not body:
        raise ValueError("an empty request is not sent")
    if len(body) <= MAX_REQUEST_BYTES:
        return None
    message = f"not sent: {len(body)} bytes are more than the {MAX_REQUEST_BYTES} of a request"
    return Judgement(verdict=Verdict.SPLIT, reason=Reason.TOO_LARGE, message=message)


def unreadable(prefix: str, why: str, hidden: Iterable[str] = ()) -> Judgement:
    """What it means that somebody said yes, but not in words of OTLP: whoever that is, it is not to be believed."""
    message = shown(prefix, f"the answer is {why}", hidden)
    return Judgement(verdict=Verdict.PARK, reason=Reason.UNREADABLE, message=message)


def unanswered(reason: Reason, why: str, hidden: Iterable[str] = ()) -> Judgement:
    """What it means that no answer came: the same request again."""
    return Judgement(verdict=Verdict.RETRY, reason=reason, message=shown("no answer", why, hidden))


def parse_retry_after(value: str, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks to wait, a day at most; `None` when it is neither seconds nor a date."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value.lstrip("0")[:_MAX_DIGITS] or 0), MAX_RETRY_AFTER_SECONDS)
    date = _date(value)
    return None if date is None else min(max(0.0, (date - now).total_seconds()), MAX_RETRY_AFTER_SECONDS)


class Backoff:
    """How long to wait before each next try: exponential, with full jitter.

    Args:
        initial: The most seconds before the first further try; each failure doubles it.
        maximum: The most seconds before any try.
        random: A number from 0 to below 1. The default needs no seed, so that children of a fork do not come at once.
    """

    def __init__(
        self,
        initial: float = 1.0,
        maximum: float = 60.0,
        random: Callable[[], float] = _RANDOM,
    ) -> None:
        self._initial, self._maximum, self._random = initial, maximum, random
        self._failures = 0

    def next(self, retry_after_seconds: float | None = None) -> float:
        """The seconds to wait after one more failure.

        What the server asked for is a floor, and the jitter comes on top of it: all whom it told the same would
        otherwise be back in the same moment.
        """
        ceiling = min(self._maximum, self._initial * 2.0 ** min(self._failures, _MAX_DOUBLINGS))
        self._failures += 1
        return (retry_after_seconds or 0.0) + self._random() * ceiling

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._failures = 0


def shown(prefix: str, text: str, hidden: Iterable[str] = ()) -> str:
    """The prefix and the text as one line for people: without what is hidden, printable, at most 512 characters."""
    text = text[:_MAX_READ]
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "***")
    line = f"{prefix}: {text.strip()}" if text.strip() else prefix
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line[: MAX_MESSAGE + 1])
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"


def _judge_accepted(prefix: str, body: bytes, media_type: str, hidden: Iterable[str]) -> Judgement:
    try:
        response = read_response(body, media_type)
    except ValueError as error:
        return unreadable(prefix, str(error), hidden)
    message = shown(prefix, response.message, hidden) if response != Response() else ""
    if response.rejected:
        return Judgement(
            verdict=Verdict.PARTIAL, reason=Reason.PARTIAL_SUCCESS, rejected=response.rejected, message=message
        )
    return Judgement(verdict=Verdict.DELIVERED, reason=Reason.ACCEPTED, message=message)


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """By the server's own clock where it tells it, so that a clock that is wrong here does not matter."""
    value = headers.get("retry-after")
    return None if value is None else parse_retry_after(value, _date(headers.get("date", "")) or now)


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):  # the first three on Python 3.10, for what is no date
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
