"""The chapters about events, privacy, invalid events and tokens: run the forum once, and show the telemetry that arrived from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from heliograph.demo import forum
from heliograph.demo.arrived import count, event_lines, metric_lines, token_lines
from heliograph.demo.chapter import Chapter, Count
from heliograph.demo.processes import finished_forum
from heliograph.demo.source import source_of
from heliograph.quarantine.store import Quarantine
from heliograph.receiver.server import receiving
from heliograph.receiver.store import Store
from heliograph.values.text import display

# What is counted, the key of the number that the forum reports, and the query. Events are counted by their unique ids, since an
# exporter that retries may deliver one twice.
_COUNTS: Final = (
    ("events", "events", "select count(distinct uid) from events where event_name != ''"),
    ("span events", "span_events", "select count(distinct uid) from span_events"),
    ("operations on tokens", "token_operations", "select count(*) from token_view"),
)
_COUNTS_OF_TOKEN: Final = (
    (
        "posts that were deleted with the token",
        "token_events",
        "select count(*) from event_view where name = 'forum.delete_post' and token_id = ?",
    ),
    (
        "uses of the token after its end",
        "token_rejections",
        "select count(*) from token_view where result = 'revoked' and token_id = ?",
    ),
)
_PRIVATE: Final = "select count(*) from event_view where attributes like '%@example.com%'"


def forum_chapters(store: Store, folder: Path) -> Iterator[Chapter]:
    """Run the forum, and yield the chapters about it.

    Args:
        store: The store of the receiver.
        folder: A folder for the quarantine.

    Raises:
        DemoFailed: The forum failed.
    """
    quarantine = Quarantine(folder / "quarantine.db")
    with receiving(store) as endpoint:
        ended = finished_forum(endpoint, quarantine.path)
    done: dict[str, Any] = json.loads(ended.lines[-1])
    yield from _event_chapters(store)
    yield _quarantine_chapter(store, quarantine, ended.errors, done)
    yield _token_chapter(store, done)
    yield Chapter(
        title="Everything is counted",
        seen=list(metric_lines(store)),
        counts=[Count(what=what, sent=done[key], arrived=count(store, sql)) for what, key, sql in _COUNTS]
        + [Count(what="flush of the exporters", sent=1, arrived=int(done["flushed"]))],
    )


def _event_chapters(store: Store) -> Iterator[Chapter]:
    yield Chapter(
        title="An event is a log record, and a span event in the span of its request",
        code=source_of(forum.BanUser, forum.ban),
        seen=list(event_lines(store, "forum.ban_user")),
    )
    yield Chapter(
        title="A private field is masked before it leaves the process",
        code=source_of(forum.SignUp, forum.sign_up),
        seen=list(event_lines(store, "forum.sign_up")),
        counts=[Count(what="private values", sent=0, arrived=count(store, _PRIVATE))],
    )


def _quarantine_chapter(store: Store, quarantine: Quarantine, errors: list[str], done: Mapping[str, Any]) -> Chapter:
    return Chapter(
        title="An event that violates its schema is set aside",
        code=source_of(forum.CastVote, forum.vote),
        seen=[*event_lines(store, "forum.cast_vote"), *_violation_lines(quarantine, errors)],
        counts=[
            Count(
                what="invalid events, set aside",
                sent=done["invalid_events"],
                arrived=sum(quarantine.counts().values()),
            )
        ],
    )


def _token_chapter(store: Store, done: Mapping[str, Any]) -> Chapter:
    return Chapter(
        title="A token is revoked, and what it had done is known",
        code=source_of(forum.DeletePost, forum.use_token),
        seen=list(token_lines(store, done["token"])),
        counts=[
            Count(what=what, sent=done[key], arrived=count(store, sql, [done["token"]]))
            for what, key, sql in _COUNTS_OF_TOKEN
        ],
    )


def _violation_lines(quarantine: Quarantine, errors: list[str]) -> Iterator[str]:
    yield "standard error of the program"
    yield from (f"  {display(line)}" for line in errors)
    for each in quarantine.find():
        record = each.record
        yield f"heliograph quarantine show {each.id}"
        yield f"  {display(record.event_name)}"
        yield f"  {display('; '.join(record.violations))}"
        yield f"  {display(json.dumps(dict(record.properties)))}"
