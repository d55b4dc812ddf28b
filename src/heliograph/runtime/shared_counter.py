"""A counter that any number of threads and signal handlers increase at once, without a lock.

Unlike ``+= 1``, which is several steps, `next` of an `itertools.count` is one call of C code.
"""

from __future__ import annotations

import itertools


class SharedCounter:
    """Counts from 0.

    Attributes:
        add: Counts one more. Do not use its result: a number that two threads get in order may be used by them in the other order.
    """

    __slots__ = ("_numbers", "add")

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.add = self._numbers.__next__

    @property
    def value(self) -> int:
        """The number of times that `add` was called."""
        # `itertools.count` shows its number in its `repr` alone, without counting one more.
        return int(repr(self._numbers).removeprefix("count(").removesuffix(")"))
