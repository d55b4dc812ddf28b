"""The contract of the stores of traces, and its implementations for Jaeger and for Tempo, whose query language is TraceQL.

A search in Jaeger is for one service, so a panel of traces is repeated for each chosen service. Jaeger can search for the attributes of spans
and of span events, but not for the name of a span event. So heliograph writes the name of an event into an attribute, too. The tests check the
queries for Tempo by the grammar of TraceQL. They do not run Tempo.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final

from grafana_foundation_sdk.models.tempo import SearchTableType, TempoQuery

from heliograph.dashboards.data_sources import DataSource, JaegerQuery, Query
from heliograph.semconv import EVENT_NAME

LIMIT: Final = 20
"""The number of traces that a panel shows."""


class TraceStore(ABC):
    """Writes searches for traces."""

    data_source: ClassVar[DataSource]

    @abstractmethod
    def with_span(self, name: str, attributes: Mapping[str, str]) -> Query:
        """Return a search for traces that have a span with this name and these attributes."""

    @abstractmethod
    def with_event(self, event_name: str) -> Query:
        """Return a search for traces that have a span with this event."""


class Jaeger(TraceStore):
    """Writes searches for Jaeger."""

    data_source = DataSource.JAEGER

    def with_span(self, name: str, attributes: Mapping[str, str]) -> Query:
        """See `TraceStore`."""
        return JaegerQuery(service="$service", operation=name, tags=_logfmt(attributes), limit=LIMIT)

    def with_event(self, event_name: str) -> Query:
        """See `TraceStore`."""
        return JaegerQuery(service="$service", tags=_logfmt({EVENT_NAME: event_name}), limit=LIMIT)


class Tempo(TraceStore):
    """Writes searches in TraceQL."""

    data_source = DataSource.TEMPO

    def with_span(self, name: str, attributes: Mapping[str, str]) -> Query:
        """See `TraceStore`."""
        conditions = (f"span.{key} = {json.dumps(value)}" for key, value in attributes.items())
        return _search(f"name = {json.dumps(name)}", *conditions)

    def with_event(self, event_name: str) -> Query:
        """See `TraceStore`."""
        return _search(f"event:name = {json.dumps(event_name)}")


def _logfmt(attributes: Mapping[str, str]) -> str:
    return " ".join(f"{key}={_logfmt_value(value)}" for key, value in attributes.items())


def _logfmt_value(value: str) -> str:
    return value if re.fullmatch(r"[\w.$-]+", value, re.ASCII) else json.dumps(value)


def _search(*conditions: str) -> TempoQuery:
    spans = " && ".join(['resource.service.name = "$service"', *conditions])
    return TempoQuery(
        query=f"{{ {spans} }}",
        query_type="traceql",
        table_type=SearchTableType.TRACES,
        limit=LIMIT,
        datasource=DataSource.TEMPO.ref,
    )
