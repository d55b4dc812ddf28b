"""Free TCP ports of 127.0.0.1 for programs under test.

The system takes ports for connections from a range above. A connection of another test would take the port otherwise, before a program
that starts slowly listens on it. For the same reason, each process that runs tests has a block of ports of its own, as long as it
lives: it holds a file lock on the block. It returns the ports of its block in turn.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

FIRST_PORT, LAST_PORT = 20_000, 32_768
BLOCK_SIZE = 128

_locks = Path(tempfile.gettempdir()) / f"heliograph-test-ports-{os.getuid()}"

# Each process of pytest-xdist seeds the usual generator alike.
_random = random.SystemRandom()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on, and that no other process which runs tests returns meanwhile."""
    return next(_free_ports(os.getpid()))


@cache
def _free_ports(_process: int) -> Iterator[int]:
    first = _take_block()
    ports = itertools.cycle(range(first, first + BLOCK_SIZE))
    return filter(_is_free, ports)


def _take_block() -> int:
    blocks = range(FIRST_PORT, LAST_PORT - BLOCK_SIZE, BLOCK_SIZE)
    _locks.mkdir(exist_ok=True)
    for first in _random.sample(blocks, len(blocks)):
        # Never closed, so that the lock is held until the process ends.
        descriptor = os.open(_locks / str(first), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return first
    raise RuntimeError(f"other processes have locks on all files in {_locks}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
