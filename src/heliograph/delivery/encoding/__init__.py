"""Log records as OTLP bytes."""
