"""From attributes to telemetry, through the public API of OpenTelemetry alone."""
