"""Durable delivery: from a log record to an acknowledged OTLP request, by way of a journal on disk."""
