"""Call a function at the end of a child process that ends by `os._exit`, and so calls no `atexit` function.

The children of `multiprocessing` (`Process`, `Pool`, and those of `concurrent.futures.ProcessPoolExecutor`) end this way. Each
runs the finalizers of ``multiprocessing.util`` before. Celery's prefork workers do not; they send a signal of Celery's.

A finalizer has to be registered at the right moment. A child of a fork drops those that it has, after the callbacks of
`os.register_at_fork`, and then calls the functions of ``register_after_fork``. A child that was spawned imports the main module,
with the program's `configure()`, and drops nothing after that. So both are needed: a finalizer at once, and one after each fork.

None of these modules is imported here: what the program has not imported, it does not use. They are looked up when the object is
created, and again in each child, since the program may import them in between.

Threads: any thread may call `cancel`. In a child, everything runs in its main thread.

Not covered: a child that somebody else ends by `os._exit` or by a signal, such as `Pool.terminate` (the end of ``with Pool():``),
which sends SIGTERM. Only an outbox keeps the records of such a child.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Final

from heliograph.runtime.fork import after_fork_in_child

FINALIZERS: Final = ("multiprocessing.util", "multiprocess.util")
"""The modules with finalizers. (The second is a copy of the first, which pickles with dill. Celery's billiard uses the first.)"""
CELERY_SIGNALS: Final = "celery.signals"

_PRIORITY: Final = -100
"""The lowest priority runs last. The finalizers of managers and queues have 0 or more, and usually a program's own, too."""


class ChildExit:
    """Calls a function before a child process ends, as long as this object lives.

    The function may be called more than once. If ``multiprocessing.util`` was imported first, it is called in the main process too,
    when that exits.

    Args:
        function: The function. It is called in the main thread of the child.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._is_cancelled = False
        self._connected: set[str] = set()
        self._finalizers: list[Any] = []
        self._connect()
        after_fork_in_child(self._connect)

    def _connect(self) -> None:
        for name in (*FINALIZERS, CELERY_SIGNALS):
            module = sys.modules.get(name)
            if module is None or name in self._connected:
                continue
            self._connected.add(name)  # children inherit what is connected
            if name == CELERY_SIGNALS:
                module.worker_process_shutdown.connect(self._run)
            else:
                self._add_finalizer(module)
                module.register_after_fork(self, partial(ChildExit._add_finalizer, module=module))

    def _add_finalizer(self, module: ModuleType) -> None:
        self._finalizers.append(module.Finalize(None, self._run, exitpriority=_PRIORITY))

    def _run(self, **_: object) -> None:  # Celery passes keyword arguments
        if not self._is_cancelled:
            self._function()

    def cancel(self) -> None:
        """Do not call the function in this process, nor in children that it forks from now on."""
        self._is_cancelled = True
        # Otherwise the finalizers would keep this object alive.
        for finalizer in self._finalizers:
            finalizer.cancel()
