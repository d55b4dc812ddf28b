"""Explain common mistakes in an endpoint to people, from its URL or from the server's response. Pure functions, no I/O.

`verdict` has the explanation of a failed request, and `heliograph doctor` shows it with a finding.
"""

from __future__ import annotations

import re
from http.client import BadStatusLine, RemoteDisconnected
from typing import Final
from urllib.parse import urlsplit

HTTP_PORT_IS_GRPC: Final = (
    "the server speaks HTTP/2, as OTLP over gRPC does: use its port for HTTP (usually 4318), or set "
    "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
)
GRPC_PORT_IS_HTTP: Final = (
    "the server speaks HTTP/1, and not gRPC: use its port for gRPC (usually 4317), or set "
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
)
PATH_TWICE: Final = "the path /v1/… is in the URL twice: OTEL_EXPORTER_OTLP_ENDPOINT must not contain it"
NO_PATH: Final = "the URL has no path, and receivers of OTLP use /v1/logs, /v1/traces and /v1/metrics"
NO_RECEIVER: Final = "no receiver of OTLP is at this URL"
NOT_OTLP: Final = "this is a web page or another service, and no receiver of OTLP"

_SIGNAL_PATH: Final = re.compile(r"/v1/(logs|traces|metrics)")
# The start of an HTTP/2 frame (its length has 3 bytes, the first of them 0), as text of ISO 8859-1.
_HTTP2_FRAME: Final = re.compile(r"\x00[\x00-\xff]{2}[\x00-\x09]", re.DOTALL)
_HTTP1_SERVER: Final = re.compile(r"http1\.x|Expected SETTINGS frame", re.IGNORECASE)
_MISSING: Final = frozenset({404, 405, 410})
_MAX_CAUSES: Final = 8


def explain_endpoint(value: str) -> str | None:
    """Return the problem of a base URL that already has the path of a signal; `None` without one."""
    # Not by `urlsplit`, which raises ValueError for some texts.
    if _SIGNAL_PATH.search(re.split("[?#]", value, maxsplit=1)[0]) is None:
        return None
    return (
        "it is the base of all signals' URLs, and the path /v1/… is appended to it: remove that path, or set the variable of the "
        "signal, like OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
    )


def explain_status(status: int, url: str) -> str:
    """Return an explanation of a status that the URL may have caused; an empty string if it has none."""
    if status not in _MISSING:
        return ""
    path = urlsplit(url).path
    if len(_SIGNAL_PATH.findall(path)) > 1:
        return PATH_TWICE
    if path in {"", "/"}:
        return NO_PATH
    return NO_RECEIVER


def explain_http_error(error: BaseException) -> str:
    """Return an explanation of an error of `http.client`, or of an error that it caused; an empty string if it has none."""
    seen: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        # Not for `RemoteDisconnected`, which is a subclass: the server sent nothing at all, which may have any cause.
        if isinstance(seen, BadStatusLine) and not isinstance(seen, RemoteDisconnected):
            return HTTP_PORT_IS_GRPC if _HTTP2_FRAME.match(str(seen.args[0])) else NOT_OTLP
        if seen is None:
            break
        seen = seen.__cause__ or seen.__context__
    return ""


def explain_grpc_details(details: str) -> str:
    """Return an explanation of the text of a gRPC status; an empty string if it has none."""
    return GRPC_PORT_IS_HTTP if _HTTP1_SERVER.search(details) else ""
