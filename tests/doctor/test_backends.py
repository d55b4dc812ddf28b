"""The answers of backends. Those of Loki and Tempo are in the form of their documentation; the others are asked in `test_arrival`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from heliograph.doctor.backends import BACKENDS, Get, Stored
from heliograph.doctor.records import NAME, new_test_record

RECORD = new_test_record({"service.name": "shop"})


def answering(answer: Any, asked: list[tuple[str, Mapping[str, str]]] | None = None) -> Get:
    def get(path: str, query: Mapping[str, str]) -> Any:
        if asked is not None:
            asked.append((path, query))
        return answer

    return get


def loki(stream: Mapping[str, str]) -> Any:
    result = [{"stream": stream, "values": [["1795752012887098595", "A test record of `heliograph doctor`"]]}]
    return {"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}


def tempo(event: str, uid: str = RECORD.uid) -> Any:
    attributes = [{"key": "log.record.uid", "value": {"stringValue": uid}}]
    span = {
        "traceId": "q83vASNFZ4mrze8BI0VniQ==",
        "spanId": "ASNFZ4mrze8=",
        "name": NAME,
        "kind": "SPAN_KIND_INTERNAL",
        "startTimeUnixNano": "1795752012887098595",
        "endTimeUnixNano": "1795752012887098595",
        "events": [{"timeUnixNano": "1795752012887098595", "name": event, "attributes": attributes}],
        "status": {},
    }
    scope_spans = [{"scope": {"name": "heliograph"}, "spans": [{"name": "another"}, span]}]
    return {"trace": {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": scope_spans}]}, "metrics": {}}


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ({"service_name": "shop", "log_record_uid": RECORD.uid, "event_name": NAME}, True),
        ({"service_name": "shop", "log_record_uid": RECORD.uid, "severity_text": ""}, False),
    ],
)
def test_loki(stream: Mapping[str, str], expected: bool) -> None:
    """Releases up to 3.7 drop the name of the event."""
    asked: list[tuple[str, Mapping[str, str]]] = []

    assert BACKENDS["loki"].find(answering(loki(stream), asked), RECORD) == Stored(has_event_name=expected)
    [(path, query)] = asked
    assert path == "/loki/api/v1/query_range"
    assert query["query"] == f'{{service_name=~".+"}} | log_record_uid="{RECORD.uid}"'


def test_tempo() -> None:
    """The event is the one with the unique id."""
    find = BACKENDS["tempo"].find
    asked: list[tuple[str, Mapping[str, str]]] = []

    assert find(answering(tempo(NAME), asked), RECORD) == Stored(has_event_name=True)
    assert asked == [(f"/api/v2/traces/{RECORD.trace_id}", {})]
    assert find(answering(tempo("")), RECORD) == Stored(has_event_name=False)
    assert find(answering(tempo(NAME, "another")), RECORD) == Stored(has_event_name=False)


NOTHING = [
    None,
    {},
    [],
    "text",
    {"data": {"result": []}},
    {"data": 1},
    {"result": {"resourceSpans": [1]}},
    {"trace": None},
]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("answer", NOTHING, ids=repr)
def test_answer_without_the_record(name: str, answer: Any) -> None:
    """The record has not arrived yet. No form of an answer raises an error."""
    backend = BACKENDS[name]

    assert backend.find(answering(answer), RECORD) is None
    assert not backend.recognizes(answering(answer))


def test_backends_that_are_recognized_by_recorded_answers() -> None:
    """Each answer is that of one backend alone, because each is asked at a path of its own."""
    assert BACKENDS["loki"].recognizes(answering({"status": "success", "data": ["service_name"]}))
    assert BACKENDS["tempo"].recognizes(answering({"scopes": [{"name": "span", "tags": []}]}))
