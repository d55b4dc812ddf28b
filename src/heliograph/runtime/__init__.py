"""Threads, event loops, deadlines, forks and failures: the ground that a host stands on, which knows nothing of telemetry."""
