"""Describe the telemetry in the receiver's store as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from heliograph.events import Severity
from heliograph.receiver.datasette_folder import query
from heliograph.receiver.store import Store
from heliograph.semconv import LOG_RECORD_UID
from heliograph.values.text import display

_LOG_RECORDS: Final = """
select *, strftime('%H:%M:%f', time_unix_nano / 1e9, 'unixepoch') as time from events where event_name = ? order by time_unix_nano
"""
_SPANS: Final = "select spans.*, event_name from span_events join spans using (span_id) where uid = ?"
_METRICS: Final = "select * from metrics where name like 'heliograph.%' and value != 0 order by name, attributes"
_SEVERITIES: Final = {each.value: each.name for each in Severity}


def event_lines(store: Store, event_name: str) -> Iterator[str]:
    """Yield the lines about the log records of an event, and about the span events with the same unique ids."""
    for row in store.rows(_LOG_RECORDS, [event_name]):
        yield f"log record  {display(row['event_name'])}"
        yield f"  {row['time']}  {_SEVERITIES.get(row['severity_number'], '')}".rstrip()
        yield f'  "{display(row["body"])}"'
        yield from _attribute_lines(row["attributes"])
        for span in store.rows(_SPANS, [row["uid"]]):
            millis = (span["end_unix_nano"] - span["start_unix_nano"]) / 1e6
            yield f"span  {display(span['name'])}  {millis:.2f} ms"
            yield f"  span event  {display(span['event_name'])}"
            yield "    with the same attributes and the same id"


def token_lines(store: Store, token_id: str) -> Iterator[str]:
    """Yield a line for each operation on a token and each event that was made with it, in the order of time.

    The query is the one that Datasette offers for the same question.
    """
    yield f"token {token_id}"
    for row in reversed(store.rows(query("by_token"), {"token_id": token_id})):
        what = row["name"] if row["kind"] == "event" else f"{row['name']}: {row['body_or_result']}"
        actor = f" ({row['actor']})" if row["actor"] else ""
        yield f"  {row['time'][11:23]}  {display(what)}{display(actor)}"


def metric_lines(store: Store) -> Iterator[str]:
    """Yield a line for each series of heliograph's own metrics that counted something."""
    for row in store.rows(_METRICS):
        attributes = ", ".join(str(value) for value in json.loads(row["attributes"]).values())
        value = f"{row['count']} × {row['value'] / row['count']:.6f} s" if row["count"] else f"{row['value']:.0f}"
        yield f"{display(row['name']):<34}  {display(attributes):<44}  {value}"


def count(store: Store, sql: str, parameters: Sequence[object] = ()) -> int:
    """Return the number that is the result of a query."""
    [[number]] = store.rows(sql, parameters)
    return int(number)


def _attribute_lines(attributes: str) -> Iterator[str]:
    for name, value in json.loads(attributes).items():
        if name != LOG_RECORD_UID:
            yield f"  {display(name)} = {display(json.dumps(value, ensure_ascii=False))}"
