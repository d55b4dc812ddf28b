"""Concurrency that knows nothing of telemetry: the background loop, run-once, fork, deadlines, at exit."""
