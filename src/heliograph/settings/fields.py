"""Define the fields of `Settings`: `setting` creates a field, and `Setting` is the type of a field that accepts several types."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

Value = TypeVar("Value")
Argument = TypeVar("Argument")


class Setting(Generic[Value, Argument]):
    """The type of a field whose value has one type, and whose argument may have others.

    It has an effect for type checkers only, which see a descriptor: ``Settings(validation="strict").validation`` is a `Validation`. At run
    time, the field is an ordinary field of a dataclass.
    """

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> Value: ...

        def __set__(self, instance: object, value: Argument) -> None: ...


def setting(default: object, parse: Callable[[object], object], *, in_datasette: str = "", secret: bool = False) -> Any:
    """Return a field of `Settings`. The text below the field documents it, in Markdown.

    Args:
        default: The value if the setting is not set.
        parse: The parser: see `heliograph.settings.parsers`.
        in_datasette: Datasette's own setting for the same purpose, if it has one. Then the plugin's configuration must not have this key.
        secret: True to hide the value in `repr` and in messages.
    """
    metadata = {"parse": parse, "in_datasette": in_datasette, "secret": secret}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, repr=not secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)
