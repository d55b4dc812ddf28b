"""The backends that dashboards are made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from heliograph.dashboards.event_store import EventStore
from heliograph.dashboards.logql import Loki
from heliograph.dashboards.logsql import VictoriaLogs
from heliograph.dashboards.traces import Jaeger, Tempo, TraceStore

EVENT_STORES: Final[dict[str, EventStore]] = {"victorialogs": VictoriaLogs(), "loki": Loki()}
TRACE_STORES: Final[dict[str, TraceStore]] = {"jaeger": Jaeger(), "tempo": Tempo()}


@dataclass(frozen=True, kw_only=True)
class Backends:
    """The stores that dashboards ask, beside Prometheus.

    Attributes:
        events: The store of events.
        traces: The store of traces.
    """

    events: EventStore
    traces: TraceStore
