"""Write an event, or an operation on a token, as a line for people or as a line of JSON. Senders choose the texts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final

from heliograph.cli.terminal import styled, time_of_day
from heliograph.values.text import display, to_json

if TYPE_CHECKING:
    from heliograph.receiver.arrivals import Arrival

_LATEST: Final = 2**63 - 1
"""The latest time that is shown: in the year 2262."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def text_line(arrival: Arrival) -> str:
    """Return a line for people: time in UTC, name, actor, body, and the ids of trace and token."""
    colour = "cyan" if arrival.is_event else "yellow"
    parts = [
        styled(time_of_day(min(arrival.time_unix_nano, _LATEST)), dim=True),
        styled(display(arrival.name).ljust(24), fg=colour, bold=True),
        styled(display(arrival.actor or "–").ljust(10), fg="green"),
        styled(display(arrival.body)),
    ]
    if arrival.trace_id:
        parts.append(styled(f"trace {display(arrival.trace_id)}", dim=True))
    if arrival.token_id:
        parts.append(styled(f"token {display(arrival.token_id)}", fg="magenta"))
    return "  ".join(parts)


def json_line(arrival: Arrival) -> str:
    """Return a JSON object in one line, in ASCII. Its keys are always the same."""
    document = {
        "time": _iso_time(arrival.time_unix_nano),
        "kind": "event" if arrival.is_event else "span",
        "name": arrival.name,
        "actor": arrival.actor or None,
        "body": arrival.body,
        "trace_id": arrival.trace_id or None,
        "token_id": arrival.token_id or None,
        "service": arrival.service or None,
        "attributes": arrival.attributes,
    }
    # NaN and the infinities become null, because JSON has none of them.
    finite = json.loads(to_json(document))
    # DEL is the only control character of ASCII that `json` does not escape.
    return json.dumps(finite).replace("\x7f", "\\u007f")


def _iso_time(time_unix_nano: int) -> str:
    moment = _EPOCH + timedelta(microseconds=min(time_unix_nano, _LATEST) // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
