"""Remember the names of the attributes that the keys of a dict become, so that no event makes them again.

Keys often come from outside, and somebody may choose ever new ones. So the number of names that are kept is bounded: when there
are too many, all are forgotten. Keys that cannot be part of a name are never kept, whatever their length.
"""

from __future__ import annotations

from typing import Any, Final

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
        outer: The names that these are below. `None` makes these the root.

    Attributes:
        level: The number of keys that lead to a value with one of these names.
        known: The same names as a plain dict, in which the interpreter finds them faster. The caller handles the
            `KeyError` for a name that is not remembered, by `name`.
        adders: The functions that add the objects of each class, as `heliograph.values.plain_attributes.adder_of` made them.
        inner: The names below each key, as `below` returned them.
        prefix: The name that the keys are below.
        root: The names that are forgotten together with these.
    """

    __slots__ = ("_remembered", "_reserved", "adders", "inner", "known", "level", "prefix", "root")

    def __init__(
        self, prefix: str, reserved: frozenset[str] = frozenset(), outer: AttributeNames | None = None
    ) -> None:
        super().__init__()
        self.prefix = prefix
        self._reserved = reserved
        self.root: AttributeNames = self if outer is None else outer.root
        self.adders: dict[type, Any] = {}
        self.known: dict[str, str] = {}
        self.inner: dict[str, AttributeNames] = {}
        self._remembered = 0  # counted by the root
        self.level: int = 1 if outer is None else outer.level + 1

    def __missing__(self, key: str) -> str | None:
        name = self.name_of(key)
        if name is not None:
            self.root.make_room()
            self[key] = self.known[key] = name
        return name

    def name(self, key: str) -> str:
        """Return the name for a key.

        Raises:
            NotPlain: The key has no name.
        """
        name = self[key]
        if name is None:
            raise NotPlain
        return name

    def name_of(self, key: str) -> str | None:
        """Return the name for a key that is not remembered."""
        # With a dot in it, the key could have the name of a key inside of another dict.
        if "." in key or not can_be_in_a_name(key):
            return None
        name = f"{self.prefix}.{key}"
        return None if name in self._reserved else name

    def below(self, key: str) -> AttributeNames:
        """Return the names of the keys of the dict that is the value of a key.

        Raises:
            NotPlain: That key has no name.
        """
        found = self.inner.get(key)
        if found is None:
            found = self.inner[key] = AttributeNames(self.name(key), self._reserved, self)
        return found

    def make_room(self) -> None:
        """Count one more name below this root. Forget all of them if there are too many."""
        if self._remembered >= MAX_REMEMBERED:
            self.clear()
            self.known.clear()
            self.inner.clear()
            self.adders.clear()
            self._remembered = 0
        self._remembered += 1
