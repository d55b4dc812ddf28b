"""Programs whose threads are greenlets: gevent or eventlet has replaced the functions of `threading`.

Neither library is imported here. Each call looks again, because a program may replace the functions at any time: a gunicorn worker
of the class ``gevent`` does so after a program was loaded with ``--preload``.
"""

from __future__ import annotations

import sys


def threads_are_greenlets() -> bool:
    """Return True if gevent or eventlet has replaced the functions of `threading` by now."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return bool(
        (gevent is not None and gevent.is_module_patched("threading"))
        or (eventlet is not None and eventlet.is_monkey_patched("thread"))
    )
