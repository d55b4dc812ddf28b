"""What the messages in a server's answer say, read without protobuf's library.

The messages are few and small; reading them by hand needs no generated code, and refuses what only looks like them: an
HTML page or a plain "ok" is no message.

Sources: opentelemetry-proto, `ExportLogsServiceResponse`; googleapis, `google.rpc.Status`, `RetryInfo`; the encoding of
protobuf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from heliograph.delivery.protobuf import as_bytes, as_int64, read_fields

MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024

# Numbers of fields
_PARTIAL_SUCCESS: Final = 1
_REJECTED_LOG_RECORDS, _ERROR_MESSAGE = 1, 2
_STATUS_MESSAGE, _STATUS_DETAILS = 2, 3
_ANY_TYPE_URL, _ANY_VALUE = 1, 2
_RETRY_DELAY: Final = 1
_SECONDS, _NANOSECONDS = 1, 2
_RETRY_INFO: Final = b"/google.rpc.RetryInfo"
_NANOS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Response:
    """What an `ExportLogsServiceResponse` says.

    Attributes:
        rejected: How many log records the server did not take.
        message: Why; or, where it took all of them, what else it wants to say.
    """

    rejected: int = 0
    message: str = ""


class _JsonPartialSuccess(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    rejected_log_records: int = 0
    error_message: str = ""


class _JsonResponse(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    partial_success: _JsonPartialSuccess | None = None


class _JsonStatus(msgspec.Struct):
    message: str = ""


def read_response(body: bytes, media_type: str = "application/x-protobuf") -> Response:
    """The answer to an accepted request.

    Args:
        body: The bytes of it; none at all is the message without a field.
        media_type: What the server calls them. JSON is read as OTLP's JSON, since some backends answer in it whatever
            they were asked in; a text is never an answer.

    Raises:
        ValueError: The bytes are no such message, or more than 4 MiB.
    """
    if len(body) > MAX_RESPONSE_BYTES:
        raise ValueError("more than 4 MiB")
    if not body:
        return Response()
    if media_type == "application/json":
        return _read_json(body)
    if media_type.startswith("text/"):
        raise ValueError(f"{media_type}, not a message of OTLP")
    rejected, message = 0, ""
    for number, value in read_fields(body):
        if number == _PARTIAL_SUCCESS and isinstance(value, bytes):
            rejected, message = _read_partial_success(value, rejected, message)
    return Response(rejected=rejected, message=message)


def read_status_message(body: bytes, media_type: str) -> str:
    """What an error says to people: the message of a `google.rpc.Status`, or the body itself where it is text."""
    try:
        if media_type == "application/json":
            return msgspec.json.decode(body, type=_JsonStatus).message or body.decode(errors="replace")
        if not media_type.startswith("text/"):
            messages = [
                value for number, value in read_fields(body) if number == _STATUS_MESSAGE and isinstance(value, bytes)
            ]
            return messages[-1].decode(errors="replace") if messages else ""
    except (ValueError, msgspec.MsgspecError):
        pass  # not what its media type says; what can be read of it still tells more than nothing
    return body.decode(errors="replace")


def read_retry_delay(status: bytes) -> float | None:
    """The seconds that a `google.rpc.Status` asks to wait by a `RetryInfo` among its details; `None` without one."""
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
    """The seconds that a `RetryInfo` asks to wait; 0 when it names none, `None` when it cannot be read."""
    try:
        delay = dict(read_fields(as_bytes(dict(read_fields(retry_info)).get(_RETRY_DELAY))))
    except ValueError:
        return None
    return max(0.0, as_int64(delay.get(_SECONDS)) + as_int64(delay.get(_NANOSECONDS)) / _NANOS)


def _read_json(body: bytes) -> Response:
    try:
        partial = msgspec.json.decode(body, type=_JsonResponse, strict=False).partial_success
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ValueError("JSON, but not an answer of OTLP") from None
    if partial is None:
        return Response()
    return Response(rejected=max(0, partial.rejected_log_records), message=partial.error_message)


def _read_partial_success(message: bytes, rejected: int, text: str) -> tuple[int, str]:
    for number, value in read_fields(message):
        if number == _REJECTED_LOG_RECORDS:
            rejected = max(0, as_int64(value))
        elif number == _ERROR_MESSAGE and isinstance(value, bytes):
            text = value.decode(errors="replace")
    return rejected, text
