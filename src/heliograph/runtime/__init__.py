"""Threads, event loops, deadlines, forks and failures: the ground that a host stands on, which knows nothing of telemetry.

Threads and event loops:

- `heliograph.runtime.loop`: an event loop in a background thread, for sync code that has to run async functions.
- `heliograph.runtime.once`: work that is done once, although several threads and event loops ask for it.
- `heliograph.runtime.lazy_thread`: a thread that is started when there is work; `heliograph.runtime.bell` wakes it.
- `heliograph.runtime.thread_start`: starts a thread although a signal handler may raise in the middle of it.
- `heliograph.runtime.deferred_waits`: waits of sync code that its async caller awaits in its place.
- `heliograph.runtime.deadline`: a time limit for code that cannot be interrupted.
- `heliograph.runtime.shared_counter`: a counter without a lock.
- `heliograph.runtime.kept_context`: functions that keep the context in which they were made.
- `heliograph.runtime.generators`: the generator that code runs in, and whose consumer must not see what the code sets.
- `heliograph.runtime.greenlets`: programs whose threads are greenlets (gevent, eventlet).

Processes:

- `heliograph.runtime.fork`: callbacks around `os.fork`; `heliograph.runtime.fork_lock`: a lock that is free in each forked child.
- `heliograph.runtime.at_exit`: a function that runs when the interpreter exits, with a time limit.
- `heliograph.runtime.child_exit`: a function that runs before a child process of `multiprocessing` or Celery ends.
- `heliograph.runtime.ownership`: a check of files that somebody else may have prepared.

Failures:

- `heliograph.runtime.program_errors`: the exceptions to catch around code of the program; `heliograph.runtime.program_failures` counts them.
- `heliograph.runtime.safe_logger`: a logger that raises nothing; `heliograph.runtime.limited_log` limits its records,
  `heliograph.runtime.recent_failures` keeps the last ones.
- `heliograph.runtime.weak_methods`: references to bound methods that do not keep their objects alive.
"""
