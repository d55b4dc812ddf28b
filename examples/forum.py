"""The events of a forum: a plugin for a `Host` and, unchanged, for Datasette (`--plugins-dir`)."""

from dataclasses import dataclass

from heliograph import Event, Severity, hookimpl


@dataclass
class BanUserEvent(Event, namespace="forum", severity=Severity.WARN, message="{actor[id]} banned {user[username]}"):
    """A user was banned from writing."""

    name = "ban-user"
    user: dict


@dataclass
class UnbanUserEvent(Event, namespace="forum", message="{actor[id]} forgave {user[username]}"):
    """The ban of a user was lifted."""

    name = "unban-user"
    user: dict


@hookimpl
def register_events():
    return [BanUserEvent, UnbanUserEvent]
