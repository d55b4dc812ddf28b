"""Emit events as OpenTelemetry log records, span events and metrics. Imports only the API of OpenTelemetry, never its SDK."""
