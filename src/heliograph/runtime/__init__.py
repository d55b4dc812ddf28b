"""Threads, event loops, deadlines and forks: the concurrency that a host needs and that knows nothing of telemetry.

- `heliograph.runtime.loop`: an event loop in a background thread, for sync code that has to run async functions.
- `heliograph.runtime.once`: an async function that runs once, although threads and event loops ask for it together.
- `heliograph.runtime.deadline`: a time limit for code that cannot be interrupted.
- `heliograph.runtime.at_exit`: a function that runs when the interpreter exits, with a time limit.
- `heliograph.runtime.greenlets`: programs whose threads are greenlets (gevent, eventlet).
- `heliograph.runtime.child_exit`: a function that runs before a child process of `multiprocessing` or Celery ends.
- `heliograph.runtime.limited_log`: a log of failures that may happen for every event.
- `heliograph.runtime.fork`: callbacks around `os.fork`.
"""
