"""Other Python between two spans, as in a program: parsers, text, a database, and memory, so that code and data of spans are cold."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import string
import time
from typing import Any, Final

_DOCUMENT: Final = {f"key{number}": [number, str(number), {"a": number * 1.5}] for number in range(12)}
_BLOCKS: Final = [os.urandom(64) for _ in range(20_000)]
_PAIRS: Final = re.compile(r"(\w+)=(\d+)")
_TRIES: Final = 2000


class OtherWork:
    """Work that takes about a given CPU time. It does the same each time it is called.

    Args:
        seconds: The CPU time.
    """

    def __init__(self, seconds: float) -> None:
        self._connection = sqlite3.connect(":memory:")
        self._connection.execute("create table numbers (number)")
        self._connection.executemany("insert into numbers values (?)", [(number,) for number in range(50)])
        self._number = 0
        self._parts = 1
        self._parts = max(1, round(seconds / self._seconds()))

    def _seconds(self) -> float:
        for _ in range(_TRIES):
            self()
        begun = time.thread_time()
        for _ in range(_TRIES):
            self()
        return (time.thread_time() - begun) / _TRIES

    def __call__(self) -> Any:
        """Do the work."""
        for _ in range(self._parts):
            self._number = number = (self._number + 97) % 19_000
            json.loads(json.dumps(_DOCUMENT))
            _PAIRS.sub(r"\2", "a=1 b=2 " * 4)
            self._connection.execute("select count(*) from numbers where number > ?", (number % 50,)).fetchall()
            string.Template("$a $b").substitute(a=1, b=number)
            sum(len(block) for block in _BLOCKS[number : number + 200])
