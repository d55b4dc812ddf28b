"""The lines about what has arrived are made from the receiver's store, to which any program can send."""

from __future__ import annotations

from pathlib import Path

from heliograph.demo.arrived import event_lines, metric_lines, token_lines
from heliograph.receiver.store import Store
from receiver.requests import TRACE, log_request, span_request
from schema.export.pages import UNPRINTABLE


def test_an_event_is_shown_with_its_span(tmp_path: Path) -> None:
    """The unique id, which connects them, is not repeated among the attributes."""
    store = Store(tmp_path / "events.db")
    store.add(log_request("app.ban", trace=TRACE, body="ada bans", user__id="ada", log__record__uid="u1"))
    store.add(span_request("POST /ban", "app.ban", uid="u1"))

    assert list(event_lines(store, "app.ban")) == [
        "log record  app.ban",
        "  12:00:00.000",
        '  "ada bans"',
        '  user.id = "ada"',
        "span  POST /ban  1.00 ms",
        "  span event  app.ban",
        "    with the same attributes and the same id",
    ]


def test_what_arrives_is_escaped(tmp_path: Path) -> None:
    """No character that a terminal obeys is printed."""
    unprintable = UNPRINTABLE.replace("\ud800", "")  # protobuf has no surrogates
    store = Store(tmp_path / "events.db")
    values = {
        "user__id": unprintable,
        unprintable: unprintable,
        "heliograph__token__id": "t1",
        "log__record__uid": "u1",
    }
    store.add(log_request(unprintable, body=unprintable, **values))
    store.add(span_request(unprintable, unprintable, uid="u1"))

    lines = [*event_lines(store, unprintable), *token_lines(store, "t1"), *metric_lines(store)]

    assert len(lines) > 9
    assert "".join(lines).isprintable()
