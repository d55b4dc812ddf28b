"""Forms as OpenTelemetry attributes: flattened by key, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias, Union

from heliograph.values.privacy import Protected
from heliograph.values.text import to_json

Scalar: TypeAlias = Union[str, bool, int, float]
AttributeValue: TypeAlias = Union[Scalar, Sequence[str], Sequence[bool], Sequence[int], Sequence[float]]
Attributes: TypeAlias = dict[str, AttributeValue]

MAX_DEPTH: Final = 5
"""How many levels of keys are flattened."""
MAX_KEYS: Final = 64
"""How many attributes one property may become."""
MAX_KEY_LENGTH: Final = 128


def add_attributes(attributes: Attributes, name: str, form: object, *, reserved: frozenset[str] = frozenset()) -> None:
    """Put a form into ``attributes`` under ``name``: one attribute, or one for each key below ``name``.

    Args:
        attributes: Filled.
        name: The attribute's name, or the prefix of several.
        form: What `plain` gives.
        reserved: Names that a key chosen by somebody else must not take.
    """
    if isinstance(form, dict):
        _flatten(attributes, name, form, reserved)
    elif isinstance(form, list):
        attributes[name] = _array(form)
    elif form is not None:
        attributes[name] = str(form) if isinstance(form, str) else form  # type: ignore[assignment]  # the scalars are left


def _array(form: list[object]) -> AttributeValue:
    kinds = set(map(type, form))
    if Protected in kinds and kinds <= {str, Protected}:
        return list(map(str, form))
    if len(kinds) <= 1 and kinds <= {str, bool, int, float}:
        return form  # type: ignore[return-value]  # just shown: scalars of one type
    return to_json(form)


def _flatten(attributes: Attributes, name: str, form: dict[str, object], reserved: frozenset[str]) -> None:
    flat: Attributes = {}
    rest: dict[str, object] = {}
    for path, value in _leaves(form, ()):
        key = ".".join((name, *path))
        if len(flat) == MAX_KEYS or key in flat or key in reserved or not all(map(_is_plain_key, path)):
            rest[".".join(path)] = value
        elif value is not None:
            add_attributes(flat, key, value)
    attributes.update(flat)
    if rest or not form:
        attributes[name] = to_json(rest)


def _leaves(form: dict[str, object], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], object]]:
    leaves: list[tuple[tuple[str, ...], object]] = []
    for key, value in form.items():
        below = (*path, key)
        if not isinstance(value, dict):
            leaves.append((below, value))
        elif value and len(below) < MAX_DEPTH:
            leaves += _leaves(value, below)
        else:
            leaves.append((below, to_json(value)))
    return leaves


def _is_plain_key(key: str) -> bool:
    return 0 < len(key) <= MAX_KEY_LENGTH and key.isprintable()
