"""The chapters about the forum show what arrived, and a number that does not agree is seen. `test_demo` runs the real forum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry.trace import SpanContext, TraceFlags

from heliograph.demo import forum_chapters as module
from heliograph.demo.chapter import Chapter
from heliograph.demo.forum_chapters import forum_chapters
from heliograph.demo.processes import Ended
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.store import Quarantine
from heliograph.receiver.store import Store

INVALID = InvalidRecord(
    uid="01990b3e-7d2a-7000-8001-9f86d081884c",
    event_name="forum.cast_vote",
    version=None,
    event_class="heliograph.demo.forum.CastVote",
    time_unix_nano=1_767_323_045_000_000_000,
    actor={},
    properties={"points": 99},
    violations=("constraint-violated: points",),
    span=SpanContext(trace_id=7, span_id=8, is_remote=False, trace_flags=TraceFlags(1)),
)
DONE = {
    "events": 9,
    "span_events": 1,
    "token_operations": 4,
    "token_events": 2,
    "token_rejections": 1,
    "invalid_events": 2,
    "flushed": True,
    "token": "t1",
}


@pytest.fixture
def chapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Chapter]:
    """The chapters about a forum of which nothing arrives, but for one of two invalid events."""

    def finished_forum(endpoint: str, quarantine: Path) -> Ended:
        assert endpoint.startswith("http://127.0.0.1:")
        Quarantine(quarantine).put(INVALID)
        return Ended(lines=["a line of the forum", json.dumps(DONE)], errors=["an \x1b error"], status=0)

    monkeypatch.setattr(module, "finished_forum", finished_forum)
    return list(forum_chapters(Store(tmp_path / "events.db"), tmp_path))


def test_loss_is_seen(chapters: list[Chapter]) -> None:
    """Each number that the program reported is compared with the one that was found."""
    numbers = {count.what: (count.sent, count.arrived) for chapter in chapters for count in chapter.counts}

    assert numbers == {
        "private values": (0, 0),
        "invalid events, set aside": (2, 1),
        "posts that were deleted with the token": (2, 0),
        "uses of the token after its end": (1, 0),
        "events": (9, 0),
        "span events": (1, 0),
        "operations on tokens": (4, 0),
        "flush of the exporters": (1, 1),
    }


def test_each_chapter_but_the_last_is_about_code(chapters: list[Chapter]) -> None:
    """The last chapter has the sums, and each has a title of its own."""
    assert [bool(chapter.code) for chapter in chapters] == [True, True, True, True, False]
    assert len({chapter.title for chapter in chapters}) == len(chapters)


def test_errors_of_the_program_are_escaped(chapters: list[Chapter]) -> None:
    """A terminal obeys some characters, which an error may have."""
    [shown] = [line for chapter in chapters for line in chapter.seen if "error" in line and line.startswith("  ")]

    assert shown == r"  an \x1b error"
