"""The form of every Python value in telemetry, and what privacy lets out of it."""
