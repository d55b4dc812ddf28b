"""The stores of events and traces that dashboards can be written for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heliograph.dashboards.event_store import EventStore
from heliograph.dashboards.logql import Loki
from heliograph.dashboards.logsql import VictoriaLogs
from heliograph.dashboards.traces import Jaeger, Tempo, TraceStore

EVENT_STORES: Final[Mapping[str, type[EventStore]]] = {"victorialogs": VictoriaLogs, "loki": Loki}
TRACE_STORES: Final[Mapping[str, type[TraceStore]]] = {"jaeger": Jaeger, "tempo": Tempo}


@dataclass(frozen=True, kw_only=True)
class Backends:
    """The stores that dashboards query, in addition to Prometheus.

    Attributes:
        events: The store of events.
        traces: The store of traces.
    """

    events: EventStore
    traces: TraceStore
