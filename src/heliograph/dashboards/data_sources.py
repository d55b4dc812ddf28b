"""The data sources of dashboards, and the queries that they understand.

Grafana's SDK has classes for the queries of Prometheus, Loki and Tempo. The classes for VictoriaLogs and Jaeger are here.

Source: the types `Query` of the plugin victoriametrics-logs-datasource 0.30, and Grafana's documentation of the Jaeger data source.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.loki import Dataquery as LokiQuery
from grafana_foundation_sdk.models.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.models.tempo import TempoQuery


class DataSource(enum.Enum):
    """A kind of data source: the id of its plugin, and the variable of a dashboard that names the data source in use."""

    PROMETHEUS = ("prometheus", "metrics")
    VICTORIALOGS = ("victoriametrics-logs-datasource", "logs")
    LOKI = ("loki", "logs")
    JAEGER = ("jaeger", "traces")
    TEMPO = ("tempo", "traces")

    def __init__(self, plugin: str, variable: str) -> None:
        self.plugin = plugin
        self.variable = variable

    @property
    def ref(self) -> DataSourceRef:
        """The reference to the data source that is chosen in the variable."""
        return DataSourceRef(type_val=self.plugin, uid=f"${{{self.variable}}}")


@dataclass(kw_only=True)
class VictoriaLogsQuery:
    """A query in LogsQL.

    Attributes:
        expr: The query. With the types ``stats`` and ``statsRange``, it must have a pipe `stats`.
        query_type: ``instant`` returns records, ``stats`` one value for each series, and ``statsRange`` and ``hits`` a value for each
            interval.
        legend_format: The name of each series, with labels in braces.
        max_lines: The greatest number of records.
        ref_id: The name of the query in its panel.
    """

    expr: str
    query_type: Literal["instant", "stats", "statsRange", "hits"]
    legend_format: str | None = None
    max_lines: int | None = None
    ref_id: str = ""
    datasource: DataSourceRef = field(default_factory=lambda: DataSource.VICTORIALOGS.ref)

    def to_json(self) -> dict[str, object]:
        """Return the query as Grafana stores it."""
        optional = {"legendFormat": self.legend_format, "maxLines": self.max_lines}
        return {
            "datasource": self.datasource,
            "editorMode": "code",
            "expr": self.expr,
            "queryType": self.query_type,
            "refId": self.ref_id,
            **{key: value for key, value in optional.items() if value is not None},
        }


@dataclass(kw_only=True)
class JaegerQuery:
    """A search for traces.

    Attributes:
        service: The name of the service. Jaeger needs exactly one.
        operation: The name of a span in the trace, or `None` for any.
        tags: Attributes that one span has, in logfmt.
        limit: The greatest number of traces.
        ref_id: The name of the query in its panel.
    """

    service: str
    operation: str | None = None
    tags: str | None = None
    limit: int = 20
    ref_id: str = ""
    datasource: DataSourceRef = field(default_factory=lambda: DataSource.JAEGER.ref)

    def to_json(self) -> dict[str, object]:
        """Return the query as Grafana stores it."""
        optional = {"operation": self.operation, "tags": self.tags}
        return {
            "datasource": self.datasource,
            "limit": self.limit,
            "queryType": "search",
            "refId": self.ref_id,
            "service": self.service,
            **{key: value for key, value in optional.items() if value is not None},
        }


Query: TypeAlias = PrometheusQuery | VictoriaLogsQuery | LokiQuery | JaegerQuery | TempoQuery
"""A query of a panel."""

Queries: TypeAlias = Sequence[Query]
