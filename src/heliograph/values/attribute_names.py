"""Remember the names of the attributes that the keys of a dict become, so that no event makes them again.

Keys often come from outside, and somebody may choose ever new ones. So the number of names that are kept is bounded: when there
are too many, all are forgotten. Keys that cannot be part of a name are never kept, whatever their length.
"""

from __future__ import annotations

from typing import Final

from heliograph.values.attributes import can_be_in_a_name
from heliograph.values.plain import NotPlain

MAX_REMEMBERED: Final = 256
"""The number of names that are kept below one prefix, at all depths together."""


class AttributeNames(dict[str, "str | None"]):
    """The name of the attribute for each key below a prefix, and `None` for a key that cannot be part of a name.

    Any number of threads may use it at once. A name that one of them forgets is made again by another.

    Args:
        prefix: The name that the keys are below.
        reserved: Names that no key may take.
        root: The names that are forgotten together with these. `None` makes these the root.
    """

    __slots__ = ("_below", "_prefix", "_remembered", "_reserved", "_root")

    def __init__(self, prefix: str, reserved: frozenset[str] = frozenset(), root: AttributeNames | None = None) -> None:
        super().__init__()
        self._prefix = prefix
        self._reserved = reserved
        self._root = self if root is None else root
        self._below: dict[str, AttributeNames] = {}
        self._remembered = 0  # counted by the root

    def __missing__(self, key: str) -> str | None:
        name = self.name_of(key)
        if name is not None:
            self._root.make_room()
            self[key] = name
        return name

    def name_of(self, key: str) -> str | None:
        """Return the name for a key that is not remembered."""
        # With a dot in it, the key could have the name of a key inside of another dict.
        if "." in key or not can_be_in_a_name(key):
            return None
        name = f"{self._prefix}.{key}"
        return None if name in self._reserved else name

    def below(self, key: str) -> AttributeNames:
        """Return the names of the keys of the dict that is the value of a key.

        Raises:
            NotPlain: That key has no name.
        """
        found = self._below.get(key)
        if found is None:
            name = self[key]
            if name is None:
                raise NotPlain
            found = self._below[key] = AttributeNames(name, self._reserved, self._root)
        return found

    def make_room(self) -> None:
        """Count one more name below this root. Forget all of them if there are too many."""
        if self._remembered >= MAX_REMEMBERED:
            self.clear()
            self._below.clear()
            self._remembered = 0
        self._remembered += 1
