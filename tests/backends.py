"""The real backends of the tests: a Collector and a Jaeger, started on free ports of 127.0.0.1.

`make backends` builds both programs. `Collector` writes everything that arrives to files, and forwards traces to `Jaeger`. Both
return what they hold as small frozen values, decoded from OTLP's JSON encoding.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

import pytest
from typing_extensions import Self

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIG = REPOSITORY / "collector-config"
BIN = Path(os.environ.get("HELIOGRAPH_BACKENDS", REPOSITORY / ".backends" / "bin")).resolve()

START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 10.0
HTTP_TIMEOUT_SECONDS = 5.0

AnyValue: TypeAlias = "str | bool | int | float | bytes | list[AnyValue] | dict[str, AnyValue] | None"
Attributes: TypeAlias = dict[str, AnyValue]
Json: TypeAlias = dict[str, Any]
T = TypeVar("T")
BackendT = TypeVar("BackendT", bound="Backend")

# Requests on the loopback interface must not go through a proxy that the environment names.
_http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class BackendError(Exception):
    """A backend did not start (the message has the end of its log), or its API returned an error."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


def wait_until(
    predicate: Callable[[], T | None], *, timeout_seconds: float = 10.0, interval_seconds: float = 0.05
) -> T:
    """Call the predicate until it returns a truthy value, and return that value.

    Raises:
        TimeoutError: No value was truthy in time. The message has the last one, and the stacks of all threads are printed.
    """
    deadline = time.monotonic() + timeout_seconds
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            faulthandler.dump_traceback(2)
            raise TimeoutError(f"still {answer!r} after {timeout_seconds} s")
        time.sleep(interval_seconds)
    return answer


# --- values that the backends return ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SpanEvent:
    """An event of a span."""

    name: str
    time_unix_nano: int
    attributes: Attributes


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span. Ids are lower-case hex; `parent_id` of a root is None; `status` is UNSET, OK or ERROR."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    status: str
    status_message: str
    scope: str
    scope_version: str
    resource: Attributes


@dataclass(frozen=True, kw_only=True)
class LogRecord:
    """A log record. `trace_id` and `span_id` are None outside a span; `event_name` is empty for a plain log."""

    event_name: str
    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    severity_text: str
    body: AnyValue
    attributes: Attributes
    trace_id: str | None
    span_id: str | None
    scope: str
    scope_version: str
    resource: Attributes


@dataclass(frozen=True, kw_only=True)
class MetricPoint:
    """A point of a metric: a sum or a gauge has a `value`, a histogram has the four fields after it."""

    attributes: Attributes
    time_unix_nano: int
    value: int | float | None
    count: int | None
    sum: float | None
    bounds: tuple[float, ...]
    bucket_counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of one export; `kind` is the name in OTLP: sum, gauge, histogram, exponentialHistogram, summary."""

    name: str
    unit: str
    description: str
    kind: str
    points: tuple[MetricPoint, ...]
    scope: str
    scope_version: str
    resource: Attributes


# --- OTLP's JSON encoding: 64-bit integers are strings, and a field with its default value is omitted ------

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_METRIC_KINDS = ("sum", "gauge", "histogram", "exponentialHistogram", "summary")


def decode_spans(request: Json) -> Iterator[Span]:
    """Yield the spans of one `ExportTraceServiceRequest`."""
    for span, common in _walk(request, "resourceSpans", "scopeSpans", "spans"):
        status = span.get("status", {})
        yield Span(
            trace_id=span["traceId"],
            span_id=span["spanId"],
            parent_id=span.get("parentSpanId") or None,
            name=span.get("name", ""),
            kind=_KINDS[span.get("kind", 0)],
            start_time_unix_nano=int(span.get("startTimeUnixNano", 0)),
            end_time_unix_nano=int(span.get("endTimeUnixNano", 0)),
            attributes=_attributes(span),
            events=tuple(map(_span_event, span.get("events", ()))),
            status=_STATUSES[status.get("code", 0)],
            status_message=status.get("message", ""),
            **common,
        )


def decode_logs(request: Json) -> Iterator[LogRecord]:
    """Yield the log records of one `ExportLogsServiceRequest`."""
    for record, common in _walk(request, "resourceLogs", "scopeLogs", "logRecords"):
        yield LogRecord(
            event_name=record.get("eventName", ""),
            time_unix_nano=int(record.get("timeUnixNano", 0)),
            observed_time_unix_nano=int(record.get("observedTimeUnixNano", 0)),
            severity_number=record.get("severityNumber", 0),
            severity_text=record.get("severityText", ""),
            body=_value(record.get("body", {})),
            attributes=_attributes(record),
            trace_id=record.get("traceId") or None,
            span_id=record.get("spanId") or None,
            **common,
        )


def decode_metrics(request: Json) -> Iterator[Metric]:
    """Yield the metrics of one `ExportMetricsServiceRequest`."""
    for metric, common in _walk(request, "resourceMetrics", "scopeMetrics", "metrics"):
        kind = next(name for name in _METRIC_KINDS if name in metric)
        yield Metric(
            name=metric["name"],
            unit=metric.get("unit", ""),
            description=metric.get("description", ""),
            kind=kind,
            points=tuple(map(_metric_point, metric[kind].get("dataPoints", ()))),
            **common,
        )


def _walk(request: Json, per_resource: str, per_scope: str, items: str) -> Iterator[tuple[Json, Json]]:
    """Yield each item of a request, with the resource and the scope that it shares with other items."""
    for of_resource in request.get(per_resource, ()):
        resource = _attributes(of_resource.get("resource", {}))
        for of_scope in of_resource.get(per_scope, ()):
            scope = of_scope.get("scope", {})
            names = {"scope": scope.get("name", ""), "scope_version": scope.get("version", "")}
            for item in of_scope.get(items, ()):
                yield item, {**names, "resource": resource}


def _span_event(event: Json) -> SpanEvent:
    return SpanEvent(
        name=event.get("name", ""),
        time_unix_nano=int(event.get("timeUnixNano", 0)),
        attributes=_attributes(event),
    )


def _metric_point(point: Json) -> MetricPoint:
    return MetricPoint(
        attributes=_attributes(point),
        time_unix_nano=int(point.get("timeUnixNano", 0)),
        value=int(point["asInt"]) if "asInt" in point else point.get("asDouble"),
        count=int(point["count"]) if "count" in point else None,
        sum=point.get("sum"),
        bounds=tuple(point.get("explicitBounds", ())),
        bucket_counts=tuple(map(int, point.get("bucketCounts", ()))),
    )


JAEGERS_OWN = "@jaeger@"
"""Prefixes of the attributes that Jaeger adds itself, such as warnings about an incomplete trace."""


def _attributes(holder: Json) -> Attributes:
    pairs = holder.get("attributes", ())
    return {pair["key"]: _value(pair.get("value", {})) for pair in pairs if not pair["key"].startswith(JAEGERS_OWN)}


def _value(value: Json) -> AnyValue:
    if not value:
        return None
    [(kind, content)] = value.items()
    return _VALUES[kind](content)


_VALUES: Mapping[str, Callable[[Any], AnyValue]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
    "arrayValue": lambda array: [_value(item) for item in array.get("values", ())],
    "kvlistValue": lambda pairs: {pair["key"]: _value(pair["value"]) for pair in pairs.get("values", ())},
}


# --- the programs -------------------------------------------------------------------------------------------


class Backend:
    """A program that runs inside a `with` block, or from `start` to `stop`. A second start uses the same ports."""

    program: ClassVar[str]
    config: ClassVar[Path]

    def __init__(self, directory: Path, ports: Mapping[str, int], **environment: str) -> None:
        self.directory = directory
        self.log = directory / f"{self.program}.log"
        self._ports = ports
        self._environment = {**environment, **{name: str(port) for name, port in ports.items()}}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the program, and return when all its ports answer.

        Raises:
            BackendError: The program ended, or its ports did not answer in time.
        """
        _require(self.program)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / self.program, "--config", self.config],
                env={**os.environ, **self._environment},
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready, timeout_seconds=START_TIMEOUT_SECONDS)
        except TimeoutError as error:
            self.stop()
            raise self._failure(f"not ready after {START_TIMEOUT_SECONDS} s") from error

    def stop(self) -> None:
        """Send the program SIGTERM, and SIGKILL if it does not end in time. Do nothing if it is not running."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill the program, as a crash does: it writes nothing any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_ready(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise self._failure(f"ended with exit code {self._process.returncode}")
        return all(map(_is_open, self._ports.values()))

    def _failure(self, what: str) -> BackendError:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        return BackendError(f"{self.program} {what}; the end of {self.log}:\n{tail}")


class Jaeger(Backend):
    """A Jaeger that keeps traces in memory."""

    program = "jaeger"
    config = CONFIG / "jaeger" / "jaeger.yaml"

    def __init__(self, directory: Path) -> None:
        self.otlp_grpc_port, self.http_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        super().__init__(
            directory,
            {
                "HELIOGRAPH_JAEGER_OTLP_GRPC_PORT": self.otlp_grpc_port,
                "HELIOGRAPH_JAEGER_OTLP_HTTP_PORT": free_port(),
                "HELIOGRAPH_JAEGER_HTTP_PORT": self.http_port,
                "HELIOGRAPH_JAEGER_GRPC_PORT": free_port(),
            },
        )

    def services(self) -> list[str]:
        """Return the names of the services that have sent a span."""
        return sorted(self._get("services").get("services", ()))

    def trace(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace by start time, or an empty list if there is no such trace yet."""
        return _by_start(decode_spans(self._get(f"traces/{trace_id}").get("result", {})))

    def traces(self, service: str, start: datetime, end: datetime) -> list[list[Span]]:
        """Return the traces, at most 1000, in which the service has a span that starts between two aware times."""
        found = self._get(
            "traces",
            {
                "query.service_name": service,
                "query.start_time_min": _rfc3339(start),
                "query.start_time_max": _rfc3339(end),
                "query.num_traces": "1000",  # required: the API has no default for it
            },
        )
        traces: dict[str, list[Span]] = defaultdict(list)
        for span in _by_start(decode_spans(found.get("result", {}))):
            traces[span.trace_id].append(span)
        return list(traces.values())

    def find(self, service: str, tags: Mapping[str, str]) -> set[str]:
        """Return the ids of traces of the last hour in which a span has these tags, as a search on its page does."""
        query = {"service": service, "tags": json.dumps(tags), "lookback": "1h", "limit": "1000"}
        found = self._get("traces", query, api="api")  # version 3 of the API cannot search by tags in this release
        return {trace["traceID"] for trace in found["data"]}

    def _get(self, path: str, query: Mapping[str, str] | None = None, *, api: str = "api/v3") -> Json:
        """Return the response of the API; an empty one for status 404, which Jaeger sends if it found nothing."""
        url = f"{self.url}/{api}/{path}?{urllib.parse.urlencode(query or {})}"
        try:
            with _http.open(url, timeout=HTTP_TIMEOUT_SECONDS) as response:
                return cast("Json", json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return {}
                raise BackendError(f"{error.code} from {url}: {error.read().decode()}") from error


class Collector(Backend):
    """A Collector that writes everything it receives to files, and forwards traces to a Jaeger if it is given one."""

    program = "otelcol"
    config = CONFIG / "otelcol" / "single-node.yaml"

    def __init__(self, directory: Path, jaeger: Jaeger | None = None) -> None:
        grpc_port, http_port, self.health_port = free_port(), free_port(), free_port()
        self.otlp_grpc_endpoint = f"http://127.0.0.1:{grpc_port}"
        self.otlp_http_endpoint = f"http://127.0.0.1:{http_port}"
        self.files = directory / "telemetry"
        # Without a Jaeger it sends to a free port, and never to a Jaeger that the developer runs.
        jaeger_port = jaeger.otlp_grpc_port if jaeger else free_port()
        super().__init__(
            directory,
            {
                "HELIOGRAPH_OTLP_GRPC_PORT": grpc_port,
                "HELIOGRAPH_OTLP_HTTP_PORT": http_port,
                "HELIOGRAPH_COLLECTOR_HEALTH_PORT": self.health_port,
            },
            HELIOGRAPH_JAEGER_OTLP_GRPC_PORT=str(jaeger_port),
            HELIOGRAPH_COLLECTOR_FILES=str(self.files),
        )

    def traces(self) -> list[Span]:
        """Return the spans that arrived, in the order of arrival."""
        return [span for request in self._requests("traces") for span in decode_spans(request)]

    def logs(self) -> list[LogRecord]:
        """Return the log records that arrived, in the order of arrival. A duplicate is listed twice."""
        return [record for request in self._requests("logs") for record in decode_logs(request)]

    def metrics(self) -> list[Metric]:
        """Return the metrics that arrived, in the order of arrival, one for each export of each metric."""
        return [metric for request in self._requests("metrics") for metric in decode_metrics(request)]

    def raw(self) -> bytes:
        """Return the bytes of all files, for a test that searches them for a secret."""
        return b"".join(file.read_bytes() for file in sorted(self.files.glob("*.jsonl")))

    def _is_ready(self) -> bool:
        return super()._is_ready() and _is_healthy(f"http://127.0.0.1:{self.health_port}")

    def _requests(self, signal: str) -> Iterator[Json]:
        # A rotated file is logs-<time>.jsonl, which sorts before logs.jsonl. A last line without a line end is still being written.
        for file in sorted(self.files.glob(f"{signal}*.jsonl")):
            for line in file.read_bytes().split(b"\n")[:-1]:
                yield json.loads(line)


def _require(program: str) -> None:
    """Skip the test if the program was not built. In CI it must have been built, so the test fails."""
    if (BIN / program).exists():
        return
    reason = f"there is no {program} in {BIN}: run `make backends`"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _is_open(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(HTTP_TIMEOUT_SECONDS)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _is_healthy(url: str) -> bool:
    try:
        with _http.open(url, timeout=HTTP_TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:  # 503: it listens, but a component has not started yet
        error.close()
        return False


def _by_start(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat()


# --- fixtures -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger that runs for the whole test session. A test looks for its own service name or trace id."""
    with Jaeger(tmp_path_factory.mktemp("jaeger")) as backend:
        yield backend


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory, jaeger: Jaeger) -> Iterator[Collector]:
    """A Collector that forwards to `jaeger`, for the whole test session. A test looks for its own records."""
    with Collector(tmp_path_factory.mktemp("collector"), jaeger) as backend:
        yield backend
