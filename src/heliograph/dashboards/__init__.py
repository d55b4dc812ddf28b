"""Grafana dashboards, generated from the names on the wire and from the schemas of events.

A dashboard queries three data sources: Prometheus for metrics, VictoriaLogs or Loki for events, Jaeger or Tempo for traces. The panels are
the same for each choice: an `EventStore` and a `TraceStore` write their queries, and have an implementation for each query language.

- `data_sources` has the kinds of data sources, and the classes of their queries. `backends` lists the stores that can be chosen.
- `promql` writes queries on metrics; `event_store` is the contract for events, with `logsql` (VictoriaLogs) and `logql` (Loki); `traces` has
  both trace stores.
- `panels` creates panels of one style, `layout` places them, `variables` creates the fields at the top of a dashboard, and `units` converts
  units.
- `events`, `tokens`, `delivery` and `catalogue` are the dashboards; `field_panels` chooses the panels for a field of an event.
- `files` writes all dashboards as JSON.

The package needs `grafana-foundation-sdk`, an optional dependency, and so Python 3.11 or later. Nothing here talks to Grafana.
"""
