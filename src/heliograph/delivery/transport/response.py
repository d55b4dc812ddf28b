"""Read the messages in a server's response: its partial success, its text for people, and the delay that it asks for.

The messages are few and small, and are read by hand (see `heliograph.delivery.protobuf`). The reading is strict about the wire
format, so that a login page or a plain "ok" is not taken for a response of OTLP, and tolerant about texts and unknown fields.

The responses of all signals have the same fields with the same numbers, under other names.

Sources: opentelemetry-proto, `ExportLogsServiceResponse`; googleapis, `google.rpc.Status` and `RetryInfo`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from heliograph.delivery.protobuf import as_bytes, as_int64, read_fields

MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024
"""The size of the largest response that is read. OTLP asks clients for such a limit, and proposes 4 MiB."""

# Numbers of fields: of ExportLogsServiceResponse, ExportLogsPartialSuccess, google.rpc.Status, google.protobuf.Any, RetryInfo
# and google.protobuf.Duration.
_PARTIAL_SUCCESS: Final = 1
_REJECTED_LOG_RECORDS, _ERROR_MESSAGE = 1, 2
_STATUS_MESSAGE, _STATUS_DETAILS = 2, 3
_ANY_TYPE_URL, _ANY_VALUE = 1, 2
_RETRY_DELAY: Final = 1
_SECONDS, _NANOSECONDS = 1, 2
_RETRY_INFO: Final = b"/google.rpc.RetryInfo"
_NANOS: Final = 1_000_000_000

_JSON_REJECTED: Final = ("rejectedLogRecords", "rejectedSpans", "rejectedDataPoints")
_UNREADABLE_JSON: Final = (ValueError, msgspec.MsgspecError, RecursionError)
"""The last one is raised for values that are nested too deeply."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """The content of an `ExportLogsServiceResponse`, or of another signal's response.

    Attributes:
        rejected: The number of records that the server rejected; never negative.
        message: The reason; or a warning, if the server accepted all records.
    """

    rejected: int = 0
    message: str = ""


class _JsonResponse(msgspec.Struct, rename="camel"):
    partial_success: dict[str, object] | msgspec.UnsetType | None = msgspec.UNSET


class _JsonStatus(msgspec.Struct):
    message: str = ""


def read_response(body: bytes, media_type: str = "application/x-protobuf") -> Response:
    """Return the content of a successful response.

    Args:
        body: The body of the response. An empty body is a message without fields.
        media_type: The response's media type. JSON is read as OTLP's JSON encoding, because some backends answer in JSON
            whatever the request was. Text is never accepted.

    Raises:
        ValueError: The body is not such a message, or has more than 4 MiB.
    """
    if len(body) > MAX_RESPONSE_BYTES:
        raise ValueError("longer than 4 MiB")
    if not body:
        return Response()
    if media_type == "application/json":
        return _read_json(body)
    if media_type.startswith("text/"):
        raise ValueError(f"{media_type}, not an OTLP message")
    rejected, message = 0, ""
    for number, value in read_fields(body):
        if number == _PARTIAL_SUCCESS and isinstance(value, bytes):
            rejected, message = _read_partial_success(value, rejected, message)
    return Response(rejected=rejected, message=message)


def read_status_message(body: bytes, media_type: str) -> str:
    """Return the text of an error: the message of a `google.rpc.Status`, or the body itself if it is text."""
    try:
        if media_type == "application/json":
            return msgspec.json.decode(body, type=_JsonStatus).message or body.decode(errors="replace")
        if not media_type.startswith("text/"):
            messages = [
                value for number, value in read_fields(body) if number == _STATUS_MESSAGE and isinstance(value, bytes)
            ]
            return messages[-1].decode(errors="replace") if messages else ""
    except _UNREADABLE_JSON:
        # The body is not what its media type says. Its text is still better than no text.
        pass
    return body.decode(errors="replace")


def read_retry_delay(status: bytes) -> float | None:
    """Return the delay in seconds of the `RetryInfo` in the details of a `google.rpc.Status`; `None` if there is none."""
    try:
        for number, detail in read_fields(status):
            if number == _STATUS_DETAILS and isinstance(detail, bytes):
                found = dict(read_fields(detail))
                if as_bytes(found.get(_ANY_TYPE_URL)).endswith(_RETRY_INFO):
                    return read_retry_info(as_bytes(found.get(_ANY_VALUE)))
    except ValueError:
        return None
    return None


def read_retry_info(retry_info: bytes) -> float | None:
    """Return the delay of a `RetryInfo` in seconds: 0 if it has no delay, `None` if it cannot be read."""
    try:
        delay = dict(read_fields(as_bytes(dict(read_fields(retry_info)).get(_RETRY_DELAY))))
    except ValueError:
        return None
    return max(0.0, as_int64(delay.get(_SECONDS)) + as_int64(delay.get(_NANOSECONDS)) / _NANOS)


def _read_json(body: bytes) -> Response:
    text = body.decode("utf-8-sig", errors="replace")
    try:
        partial = msgspec.json.decode(text, type=_JsonResponse).partial_success
        # OTLP ignores unknown fields. But an object of unknown fields alone is no response of OTLP: a proxy may have sent it.
        is_response = partial is not msgspec.UNSET or msgspec.json.decode(text) == {}
    except _UNREADABLE_JSON:
        is_response = False
    if not is_response:
        raise ValueError("JSON, but not an OTLP response")
    if not isinstance(partial, dict):
        return Response()
    message = partial.get("errorMessage")
    return Response(
        # Each signal has a field of its own; in protobuf they have one number.
        rejected=max(_read_json_count(partial.get(name)) for name in _JSON_REJECTED),
        message=message if isinstance(message, str) else "",
    )


def _read_json_count(value: object) -> int:
    """Return a number of rejected records; 0 if the value is no such number.

    The server has processed the request, so a mistake in this field is no reason to send it again.
    """
    try:
        return max(0, msgspec.convert(value, int, strict=False))
    except msgspec.ValidationError:
        return 0


def _read_partial_success(message: bytes, rejected: int, text: str) -> tuple[int, str]:
    for number, value in read_fields(message):
        if number == _REJECTED_LOG_RECORDS:
            rejected = max(0, as_int64(value))
        elif number == _ERROR_MESSAGE and isinstance(value, bytes):
            text = value.decode(errors="replace")
    return rejected, text
