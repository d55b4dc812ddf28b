"""Emit events as OpenTelemetry log records, span events and spans, and count them. Imports OpenTelemetry's API, never its SDK."""
