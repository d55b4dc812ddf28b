"""The queries that find the test record in each kind of backend, and the meaning of their results. Pure functions, except for `Get`.

The tests run them against real servers of Jaeger, VictoriaLogs and Prometheus. For Loki and Tempo, the tests have responses as their
documentation shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from heliograph.doctor.records import NAME, TestRecord
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.semconv import LOG_RECORD_UID

Get: TypeAlias = Callable[[str, Mapping[str, str]], Any]
"""Requests a path of the backend with a query, and returns the JSON of the response.

It returns `None` for status 404, and a list for a response with a JSON value in each line. It raises `QueryError` for other failures.
"""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The test record, as a backend has stored it.

    Attributes:
        has_event_name: True if it has the name of the event; `None` if the backend stores no events.
    """

    has_event_name: bool | None


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A kind of backend.

    Attributes:
        name: The name, as the option ``--backend`` spells it.
        signal: The signal that it stores.
        recognizes: Returns True if a backend is of this kind.
        find: Returns the test record, or `None` if it is not stored yet.
    """

    name: str
    signal: TelemetrySignal
    recognizes: Callable[[Get], bool]
    find: Callable[[Get, TestRecord], Stored | None]


# --- traces: the span is found by its trace, and the event by its name or by the attribute of the same name ------------------------


def _find_in_jaeger(get: Get, record: TestRecord) -> Stored | None:
    found = get(f"/api/v3/traces/{record.trace_id}", {})
    return _stored_span(_of(found, "result"), record)


def _find_in_tempo(get: Get, record: TestRecord) -> Stored | None:
    found = get(f"/api/v2/traces/{record.trace_id}", {})
    return _stored_span(_of(found, "trace"), record)


def _stored_span(trace: Any, record: TestRecord) -> Stored | None:
    spans = [span for span in _spans(trace) if span.get("name") == NAME]
    if not spans:
        return None
    events = [event for span in spans for event in _list(span, "events") if _has_uid(event, record)]
    return Stored(has_event_name=any(event.get("name") == NAME for event in events))


def _spans(trace: Any) -> Iterator[Mapping[str, Any]]:
    for of_resource in (*_list(trace, "resourceSpans"), *_list(trace, "batches")):
        for of_scope in _list(of_resource, "scopeSpans"):
            yield from _list(of_scope, "spans")


def _has_uid(event: Mapping[str, Any], record: TestRecord) -> bool:
    return any(
        pair.get("key") == LOG_RECORD_UID and _of(pair.get("value"), "stringValue") == record.uid
        for pair in _list(event, "attributes")
    )


# --- logs: the record is found by its unique id -------------------------------------------------------------------------------------


def _find_in_victorialogs(get: Get, record: TestRecord) -> Stored | None:
    lines = get("/select/logsql/query", {"query": f'"{LOG_RECORD_UID}":="{record.uid}"', "limit": "1"})
    if not isinstance(lines, list) or not lines:
        return None
    return Stored(has_event_name=_of(lines[0], "event_name") == NAME)


def _find_in_loki(get: Get, record: TestRecord) -> Stored | None:
    # Loki stores names with underscores for dots, and requires a label matcher that does not match the empty text.
    query = f'{{service_name=~".+"}} | {LOG_RECORD_UID.replace(".", "_")}="{record.uid}"'
    found = get("/loki/api/v1/query_range", {"query": query, "limit": "1", "since": "1h"})
    streams = _list(_of(found, "data"), "result")
    if not streams:
        return None
    return Stored(has_event_name=_of(_of(streams[0], "stream"), "event_name") == NAME)


# --- metrics: the gauge is found by its value, which is the time of the test ---------------------------------------------------------


def _find_in_prometheus(get: Get, record: TestRecord) -> Stored | None:
    # The server may have changed the dots of the name to underscores. In a regular expression, a dot matches both.
    found = get("/api/v1/query", {"query": f'{{__name__=~"{NAME}"}}'})
    values = [_of(series, "value") for series in _list(_of(found, "data"), "result")]
    is_stored = any(isinstance(value, list) and str(record.seconds) in value for value in values)
    return Stored(has_event_name=None) if is_stored else None


def _is_jaeger(get: Get) -> bool:
    return isinstance(_of(get("/api/v3/services", {}), "services"), list)


def _is_tempo(get: Get) -> bool:
    return isinstance(_of(get("/api/v2/search/tags", {}), "scopes"), list)


def _is_victorialogs(get: Get) -> bool:
    return isinstance(_of(get("/select/logsql/field_names", {"query": "*", "start": "1s"}), "values"), list)


def _is_loki(get: Get) -> bool:
    return bool(_of(get("/loki/api/v1/labels", {}), "status") == "success")


def _is_prometheus(get: Get) -> bool:
    return bool(_of(get("/api/v1/status/buildinfo", {}), "status") == "success")


BACKENDS: Final = {
    each.name: each
    for each in (
        Backend(name="jaeger", signal=TelemetrySignal.TRACES, recognizes=_is_jaeger, find=_find_in_jaeger),
        Backend(name="loki", signal=TelemetrySignal.LOGS, recognizes=_is_loki, find=_find_in_loki),
        Backend(name="prometheus", signal=TelemetrySignal.METRICS, recognizes=_is_prometheus, find=_find_in_prometheus),
        Backend(name="tempo", signal=TelemetrySignal.TRACES, recognizes=_is_tempo, find=_find_in_tempo),
        Backend(
            name="victorialogs", signal=TelemetrySignal.LOGS, recognizes=_is_victorialogs, find=_find_in_victorialogs
        ),
    )
}
"""Every kind of backend, by name."""


def _of(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, dict) else None


def _list(document: Any, key: str) -> list[Any]:
    """Return the objects in a list of a document; the empty list if the document has no such list."""
    found = _of(document, key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
