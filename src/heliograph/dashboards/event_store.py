"""The contract of the stores of events: the queries that panels need, in whatever query language a store has.

All queries are about the events of the chosen services, in the time range of the dashboard.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from heliograph.dashboards.data_sources import DataSource, Query
from heliograph.semconv import USER_ID, AttributeName

EVENT_NAME_FIELD: Final = "event_name"
"""The field of a record that has the name of the event, in both stores."""

SERVICE_FIELD: Final = "service.name"
"""The field of a record that has the name of the service."""

SEVERITY_FIELD: Final = "severity_number"
"""The field of a record that has its severity."""

LATEST: Final = 100
"""The number of events that a list shows."""


@dataclass(frozen=True, kw_only=True)
class Is:
    """The field has this value."""

    field: str
    value: str


@dataclass(frozen=True, kw_only=True)
class IsOneOf:
    """The field has one of these values."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class IsNoneOf:
    """The field has none of these values."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The field has a value that is chosen in a variable of the dashboard."""

    field: str
    variable: str


@dataclass(frozen=True, kw_only=True)
class Contains:
    """The field contains the text in a variable of the dashboard. If the text is empty, every record meets the condition."""

    field: str
    variable: str


@dataclass(frozen=True, kw_only=True)
class IsAtLeast:
    """The field is a number that is not less than this one."""

    field: str
    number: int


Condition: TypeAlias = Is | IsOneOf | IsNoneOf | Chosen | Contains | IsAtLeast
Conditions: TypeAlias = tuple[Condition, ...]


def quoted(text: str) -> str:
    """Return a text as a literal, which both languages write as JSON does."""
    return json.dumps(text, ensure_ascii=False)


class EventStore(ABC):
    """Writes queries on events.

    Args:
        actor: The attribute that identifies an actor: `user.hash` if the settings ask for a hash.

    Attributes:
        actor: The attribute that identifies an actor.
        data_source: The kind of data source.
        every_service: The value of the dashboard's variable `service` that means all services.
        can_unroll: True if the items of arrays can be counted.
    """

    data_source: ClassVar[DataSource]
    every_service: ClassVar[str]
    can_unroll: ClassVar[bool]

    def __init__(self, actor: AttributeName = USER_ID) -> None:
        self.actor = actor

    @abstractmethod
    def value_in_link(self, field: str) -> str:
        """Return Grafana's variable for the value of a field in a link of `most_frequent`."""

    @abstractmethod
    def latest(self, where: Conditions) -> Query:
        """Return a query for the latest events themselves."""

    @abstractmethod
    def count(self, where: Conditions) -> Query:
        """Return a query for the number of events."""

    @abstractmethod
    def count_distinct(self, where: Conditions, field: str) -> Query:
        """Return a query for the number of different values of a field."""

    @abstractmethod
    def over_time(self, where: Conditions, by: str) -> Query:
        """Return a query for the number of events in each interval, by the value of a field."""

    @abstractmethod
    def most_frequent(self, where: Conditions, field: str, *, is_array: bool = False) -> Query:
        """Return a query for the ten most frequent values of a field, or of the items of an array, with their numbers of events."""

    @abstractmethod
    def total(self, where: Conditions, field: str) -> Query:
        """Return a query for the sum of a number."""

    @abstractmethod
    def distribution(self, where: Conditions, field: str) -> list[Query]:
        """Return queries for the median, the 95th percentile and the maximum of a number, in each interval."""
