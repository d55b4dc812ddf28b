"""Read dicts whose keys are declared, as a `TypedDict` declares them. Generated functions call these."""

from __future__ import annotations

from typing import Final


class Absent:
    """The class of `ABSENT`."""


ABSENT: Final = Absent()
"""Marks that a dict has no value for a key that it need not have."""


def keyed(value: dict[object, object]) -> dict[object, object] | None:
    """Return a copy of a dict if all its keys are texts; else `None`."""
    copy = value.copy()
    for key in copy:
        # This comes before the key is compared with a text, which could run the key's own code.
        if type(key) is not str:
            return None
    return copy


def in_order(copy: dict[str, object], forms: dict[str, object]) -> dict[str, object]:
    """Return the forms of the values of a dict in the order of its keys. A key without a form is omitted."""
    return {key: forms[key] for key in copy if key in forms}
