"""The SDK's OTLP exporters, with log lines that explain a wrong endpoint.

If an export fails, these exporters log a status or the text of an exception, but not the URL. They also take every status below 400 for
a success, such as that of a web page: all telemetry would be lost, and nothing would be logged. So

- the HTTP client of an exporter is wrapped, and each response is examined. One that is not OTLP's counts as a failure. The client is
  private, because the releases have no public hook in common (some use requests, some urllib3). An exporter without it is used unchanged.
- after a failure over gRPC, the server is asked, once a minute at most, if it speaks HTTP/1.

Threads: an SDK processor or reader exports in one thread at a time. The log of failures has its own lock.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any, Final

from heliograph.delivery.transport.endpoint import check_url, scheme_of, shown_endpoint
from heliograph.delivery.transport.explain import (
    GRPC_PORT_IS_HTTP,
    NOT_OTLP,
    explain_endpoint,
    explain_http_error,
    explain_status,
)
from heliograph.delivery.transport.exporter_variables import COMMON_ENDPOINT, find_variable
from heliograph.delivery.transport.port_probe import speaks_http1
from heliograph.runtime.limited_log import INTERVAL_SECONDS, LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.export_counts import counting_exporter
from heliograph.sdk.exporters import OTLP_BY_PROTOCOL, TelemetrySignal
from heliograph.semconv import SCOPE

_HTTP: Final = OTLP_BY_PROTOCOL["http/protobuf"]
_GRPC: Final = OTLP_BY_PROTOCOL["grpc"]
_REDIRECTS: Final = range(300, 400)
_TAKEN_FOR_SUCCESS: Final = range(200, 400)
"""The statuses that the SDK's exporters take for a success."""

_logger: Final = SafeLogger(SCOPE)
_log: Final = LimitedLog(_logger)


def create_exporter(found: EntryPoint, signal: TelemetrySignal, environ: Mapping[str, str] | None = None) -> Any:
    """Create an exporter that counts what it delivers, and explains why it does not.

    Args:
        found: The exporter's entry point.
        signal: The signal that it exports.
        environ: The environment variables; `None` means the variables of the process, which the exporter reads, too.
    """
    environ = os.environ if environ is None else environ
    exporter: Any = counting_exporter(found.load())()
    if found.name in {_HTTP, _GRPC}:
        _warn_of_timeout(signal, environ)
    client: Any = getattr(exporter, "_client", None)
    if found.name == _HTTP and hasattr(client, "_transport"):
        client._transport = ExplainedTransport(client._transport, signal)  # noqa: SLF001 — see the module's docstring
    if found.name == _GRPC:
        _, endpoint = find_variable("ENDPOINT", signal.value, environ)
        exporter.on_failure = GrpcExplanation(signal, endpoint or "http://localhost:4317")
    return exporter


def endpoint_problem(found: EntryPoint, signal: TelemetrySignal, environ: Mapping[str, str]) -> str | None:
    """Return a message if an exporter over HTTP cannot use its endpoint; `None` if it can."""
    variable, endpoint = find_variable("ENDPOINT", signal.value, environ)
    if found.name != _HTTP or endpoint is None:
        return None
    try:
        check_url(endpoint)
    except ValueError as error:
        return f"{variable}: {error}"
    if environ[variable] != endpoint:
        # The SDK does not remove them, and so finds no such host.
        return f"{variable}: remove the spaces before or after the URL"
    problem = explain_endpoint(endpoint) if variable == COMMON_ENDPOINT else None
    return f"{variable}: {problem}" if problem else None


def _warn_of_timeout(signal: TelemetrySignal, environ: Mapping[str, str]) -> None:
    """Log a warning if an OTLP exporter has no time for its requests. By the specification, 0 means no limit."""
    variable, value = find_variable("TIMEOUT", signal.value, environ)
    # The exporter itself reports that it uses its default.
    with contextlib.suppress(ValueError):
        if value is not None and not 0 < float(value) < math.inf:
            message = (
                "%s: with %r, the exporter of OpenTelemetry's SDK delivers nothing; set it to a number of seconds."
            )
            _logger.warning(message, variable, value)


class ExplainedTransport:
    """The HTTP client of an exporter, which logs an explanation of each failure that the endpoint may have caused.

    Args:
        transport: The client of the exporter.
        signal: The signal that it exports.
    """

    def __init__(self, transport: Any, signal: TelemetrySignal) -> None:
        self._transport = transport
        self._signal = signal

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        """Send a request, and return its result: a failure if the response is not one of OTLP."""
        result = self._transport.request(method, url, **kwargs)
        problem = explain_http_error(result.error) if result.error else _problem_of_response(result, url)
        if not problem:
            return result
        _report(self._signal, url, problem)
        if result.status_code in _TAKEN_FOR_SUCCESS:
            return replace(result, status_code=None, reason=problem, error=ValueError(problem))
        return result


class GrpcExplanation:
    """Explains failures of an exporter over gRPC. It is called after each, and asks the server, once a minute at most, if it speaks HTTP/1.

    Args:
        signal: The signal of the exporter.
        endpoint: The endpoint.
    """

    def __init__(self, signal: TelemetrySignal, endpoint: str) -> None:
        self._signal = signal
        self._endpoint = endpoint
        self._not_before = 0.0

    def __call__(self) -> None:
        """Ask the server, unless it was asked within the last minute, and log an explanation if it speaks HTTP/1."""
        if time.monotonic() < self._not_before or scheme_of(self._endpoint) == "https":
            return
        self._not_before = time.monotonic() + INTERVAL_SECONDS
        if speaks_http1(self._endpoint):
            _report(self._signal, self._endpoint, GRPC_PORT_IS_HTTP)


def _problem_of_response(response: Any, url: str) -> str:
    """Return an explanation of a response that is not one of OTLP; an empty text if it may be one."""
    status, media_type = (
        response.status_code,
        response.headers().get("content-type", "").partition(";")[0].strip().lower(),
    )
    if status in _REDIRECTS:
        return f"HTTP {status}: redirects are not followed; use the URL that the server redirects to"
    # Other texts, such as "ok", may be from a simple receiver.
    if status in _TAKEN_FOR_SUCCESS and media_type == "text/html":
        return f"HTTP {status}, but the response is {media_type}: {NOT_OTLP}"
    explanation = explain_status(status, url)
    return f"HTTP {status}: {explanation}" if explanation else ""


def _report(signal: TelemetrySignal, url: str, problem: str) -> None:
    message = "Telemetry is not delivered (%s) to %s: %s"
    _log.log((signal, url, problem), message, signal.value, shown_endpoint(url), problem)
