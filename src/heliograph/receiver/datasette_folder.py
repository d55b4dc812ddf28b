"""A folder that Datasette opens on a useful page: a `Store`, and files with queries and a description beside it.

Datasette reads ``datasette.yaml`` and ``metadata.yaml`` of a folder that it is started with. Beside a single file it reads neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from heliograph.receiver.store import Store

DATABASE: Final = "events.db"
"""The name of the file with the telemetry. Datasette calls the database by its stem."""

_FILES: Final = {
    "metadata.yaml": """\
title: Events and tokens
description_html: |-
  <p>Telemetry that <code>heliograph tail</code> received:
  <a href="/events/recent_events">recent events</a> ·
  <a href="/events/events_by_name">events by name</a> ·
  <a href="/events/events_per_minute">events per minute</a> ·
  <a href="/events/row_changes">which row, by whom</a> ·
  <a href="/events/recent_token_operations">operations on tokens</a> ·
  <a href="/events/token_results">results of tokens</a> ·
  <a href="/events/by_token">what a token did</a> ·
  <a href="/events/by_actor">what an actor did</a> ·
  <a href="/events/by_trace">one trace</a> ·
  <a href="/events/losses">what was lost</a> ·
  <a href="/events/slowest_spans">slowest spans</a></p>
databases:
  events:
    description: Events, spans and operations on tokens. The queries are the place to begin.
""",
    "datasette.yaml": """\
databases:
  events:
    queries:
      recent_events:
        title: Recent events
        sql: |-
          select time, name, actor, body, trace_id, token_id, service, attributes
          from event_view order by time_unix_nano desc limit 200
      events_by_name:
        title: Events by name
        sql: |-
          select event_name as name, count(*) as log_records,
            strftime('%Y-%m-%dT%H:%M:%fZ', max(time_unix_nano) / 1e9, 'unixepoch') as latest
          from events where event_name != '' group by event_name order by log_records desc
      events_per_minute:
        title: Events per minute
        sql: |-
          select strftime('%Y-%m-%dT%H:%M', time_unix_nano / 1e9, 'unixepoch') as minute, event_name as name, count(*) as log_records
          from events where event_name != '' group by minute, name order by minute desc, name limit 1000
      row_changes:
        title: Which row was changed, and by whom
        sql: |-
          select time, name, actor, token_id,
            json_extract(attributes, '$."db.namespace"') as database, json_extract(attributes, '$."db.collection.name"') as "table",
            coalesce(json_extract(attributes, '$."' || name || '.pks"'), '') as pks, trace_id
          from event_view where name like 'datasette.%_row%' order by time_unix_nano desc limit 200
      recent_token_operations:
        title: Recent operations on tokens
        sql: |-
          select time, operation, result, handler, actor, token_id, duration_ms, service, trace_id
          from token_view order by start_unix_nano desc limit 200
      token_results:
        title: Operations on tokens by result
        sql: |-
          select operation, result, handler, count(*) as spans from token_view group by operation, result, handler order by spans desc
      by_token:
        title: What a token did
        sql: |-
          select time, 'event' as kind, name, actor, body as body_or_result, trace_id, service, attributes
          from event_view where token_id = :token_id
          union all
          select time, 'operation', operation, actor, result, trace_id, service, null from token_view where token_id = :token_id
          order by time desc limit 1000
      by_actor:
        title: What an actor did
        sql: |-
          select time, name, actor, body, trace_id, token_id, service, attributes
          from event_view where actor = :actor order by time_unix_nano desc limit 200
      by_trace:
        title: The events and spans of a trace
        sql: |-
          select time, 'event' as kind, name, actor as actor_or_status, null as duration_ms, service, attributes
          from event_view where trace_id = :trace_id
          union all
          select time, 'span', name, status, duration_ms, service, attributes from span_view where trace_id = :trace_id
          order by time
      losses:
        title: What was lost
        sql: |-
          select strftime('%Y-%m-%dT%H:%M:%fZ', time_unix_nano / 1e9, 'unixepoch') as time, name, value, attributes, service
          from metrics
          where value > 0 and (
            name in ('heliograph.outbox.rejected', 'heliograph.outbox.dead', 'heliograph.outbox.damaged',
              'heliograph.emit.failures', 'heliograph.hook.failures')
            or name like 'otel.sdk.%' and json_extract(attributes, '$."error.type"') is not null
          )
          order by time desc
      slowest_spans:
        title: The slowest spans of the last 10,000
        sql: |-
          select * from (select time, name, kind, status, duration_ms, service, trace_id, attributes
            from span_view order by start_unix_nano desc limit 10000)
          order by duration_ms desc limit 100
""",
}


def query(name: str) -> str:
    """Return the SQL of a query in ``datasette.yaml``, as it is written into new folders."""
    sql: str = yaml.safe_load(_FILES["datasette.yaml"])["databases"]["events"]["queries"][name]["sql"]
    return sql


def open_folder(folder: Path) -> Store:
    """Create a folder that only its owner can read, with its files, as far as they are missing. Return the store in it.

    Raises:
        FileFormatError: The database in the folder is another program's.
        sqlite3.Error: The database cannot be written.
        OSError: The folder or a file cannot be created.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store(folder / DATABASE)
    for name, text in _FILES.items():
        # A file that exists is kept, because people may have changed it.
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
    return store
