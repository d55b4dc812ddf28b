"""Grafana dashboards, generated from the names on the wire and from the schemas of events.

A dashboard queries three data sources: Prometheus for metrics, VictoriaLogs or Loki for events, Jaeger or Tempo for traces. The panels are
the same for each choice: an `EventStore` and a `TraceStore` write their queries, and have an implementation for each query language.

The package needs `grafana-foundation-sdk`, an optional dependency, and so Python 3.11 or later. Nothing here talks to Grafana.
"""
