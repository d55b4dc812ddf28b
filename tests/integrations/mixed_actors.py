"""The check "no event has the actor of another request", shared by the tests of all servers: 200 requests and more of 20 actors."""

from __future__ import annotations

from collections import Counter

from backends import LogRecord

ACTORS = 20


def assert_none_is_mixed(logs: list[LogRecord], number: int) -> None:
    """Check that each event has its own actor.

    Args:
        logs: The events. Each is about another user, whose name begins with the id of the actor, or with nothing, and `-`.
        number: The number of events that should have arrived.
    """
    names = Counter(map(name_of, logs))
    assert names.total() == len(names) == number
    mixed = [log.attributes for log in logs if log.attributes.get("user.id", "") != name_of(log).partition("-")[0]]
    assert mixed == []


def name_of(log: LogRecord) -> str:
    return str(log.attributes[f"{log.event_name}.user.username"])
