"""Jaeger, the store of traces."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import cast

from backends.otlp_json import Json, Span, decode_spans
from backends.ports import free_port
from backends.program import Backend, BackendError, get_json


class Jaeger(Backend):
    """A Jaeger that keeps traces in memory."""

    program = "jaeger"

    def __init__(self, directory: Path) -> None:
        self.otlp_grpc_port, self.http_port, otlp_http_port = free_port(), free_port(), free_port()
        self.query_grpc_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.otlp_grpc_endpoint = f"http://127.0.0.1:{self.otlp_grpc_port}"
        self.otlp_http_endpoint = f"http://127.0.0.1:{otlp_http_port}"
        super().__init__(
            directory,
            {
                "HELIOGRAPH_JAEGER_OTLP_GRPC_PORT": self.otlp_grpc_port,
                "HELIOGRAPH_JAEGER_OTLP_HTTP_PORT": otlp_http_port,
                "HELIOGRAPH_JAEGER_HTTP_PORT": self.http_port,
                "HELIOGRAPH_JAEGER_GRPC_PORT": self.query_grpc_port,
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
        try:
            return cast("Json", get_json(f"{self.url}/{api}/{path}", query))
        except BackendError as error:
            if error.status == 404:
                return {}
            raise


def _by_start(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat()
