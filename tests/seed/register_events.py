from dataclasses import dataclass
from datasette import hookimpl, Event


@dataclass
class BanUserEvent(Event):
    name = "ban-user"
    user: dict


@dataclass
class UnbanUserEvent(Event):
    name = "unban-user"
    user: dict


@hookimpl
def register_events():
    return [BanUserEvent, UnbanUserEvent]
