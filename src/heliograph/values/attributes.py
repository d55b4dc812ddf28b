"""Turn forms into OpenTelemetry attributes: dicts are flattened by their keys, within bounds.

What cannot be flattened is in the attribute `heliograph.event.overflow`, a JSON object from the names of attributes to what is
not below them. It is never the value of the dict's own name: a name below which there are attributes has no value itself, so that
the type of a name does not depend on the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias, Union

from heliograph.semconv import EVENT_OVERFLOW
from heliograph.values.privacy import PrivacyPolicy, Protected
from heliograph.values.text import to_json

Scalar: TypeAlias = Union[str, bool, int, float]
AttributeValue: TypeAlias = Union[Scalar, Sequence[str], Sequence[bool], Sequence[int], Sequence[float]]
Attributes: TypeAlias = dict[str, AttributeValue]

MAX_DEPTH: Final = 5
"""The number of levels of keys that are flattened. A deeper dict becomes JSON text."""
MAX_KEYS: Final = 64
"""The number of attributes that one property can become, without the one that holds the rest as JSON text."""
MAX_KEY_LENGTH: Final = 128
"""The number of characters of a key that can be part of an attribute's name."""

# Dicts are slower with keys of a subclass of str.
_OVERFLOW: Final = str(EVENT_OVERFLOW)


def add_attributes(attributes: Attributes, name: str, form: object, *, reserved: frozenset[str] = frozenset()) -> None:
    """Add a form to ``attributes``: as one attribute, or, if it is a dict, as one for each key, below ``name``.

    `None` and an empty dict have no attribute.

    Args:
        attributes: The attributes to add to.
        name: The name of the attribute, or the prefix of the names of several.
        form: A form, as `heliograph.values.forms` makes it.
        reserved: Names that no key of a dict may take, because they are the names of declared attributes. Keys often come
            from outside; one must not replace the value of a field.
    """
    if isinstance(form, dict):
        _add_flattened(attributes, name, form, reserved)
    elif isinstance(form, list):
        attributes[name] = array_or_json(form)
    elif form is not None:
        attributes[name] = str(form) if isinstance(form, str) else form  # type: ignore[assignment]  # a scalar


def array_or_json(form: list[object]) -> AttributeValue:
    """Return a list of scalars of one type as an array, which is all that OpenTelemetry has; any other list as JSON text."""
    # A list of too many integers was cut, and ends with a text. Its items need not be examined.
    if form and type(form[0]) is int and type(form[-1]) is str:
        return to_json(form)
    kinds = set(map(type, form))
    if len(kinds) == 1 and (str in kinds or int in kinds):  # the common case
        return form  # type: ignore[return-value]
    if Protected in kinds and kinds <= {str, Protected}:
        return list(map(str, form))
    if len(kinds) <= 1 and kinds <= {str, bool, int, float}:
        return form  # type: ignore[return-value]  # its items are scalars of one type
    return to_json(form)


def _add_flattened(attributes: Attributes, name: str, form: dict[str, object], reserved: frozenset[str]) -> None:
    flat: Attributes = {}
    # Values whose keys cannot name an attribute. Nothing is lost.
    rest: dict[str, object] = {}
    for path, value in _paths(form, ()):
        key = ".".join((name, *path))
        if len(flat) == MAX_KEYS or key in flat or key in reserved or not all(map(can_be_in_a_name, path)):
            _put(rest, path, value)
        elif value is not None:
            add_attributes(flat, key, to_json(value) if isinstance(value, dict) else value)
    attributes.update(flat)
    if rest:
        add_overflow(attributes, {name: rest})


def _put(nested: dict[str, object], path: tuple[str, ...], value: object) -> None:
    """Put a value into nested dicts, which, unlike a joined path, keep keys apart that contain dots."""
    for key in path[:-1]:
        nested = nested.setdefault(key, {})  # type: ignore[assignment]  # a path ends where its value is not a dict
    nested[path[-1]] = value


def add_overflow(attributes: Attributes, rest: Mapping[str, object]) -> None:
    """Add what cannot have attributes of its own to the attribute `heliograph.event.overflow`.

    Args:
        attributes: The attributes to add to.
        rest: Forms by the names of their attributes, or of those that they would be below. There is at least one.
    """
    text, former = to_json(rest), attributes.get(_OVERFLOW)
    # Both are JSON objects with at least one key, and with different keys: they are joined without being parsed.
    attributes[_OVERFLOW] = f"{former[:-1]},{text[1:]}" if isinstance(former, str) else text


def without_opted_out(attributes: Attributes, policy: PrivacyPolicy) -> Attributes:
    """Return the attributes that the policy does not opt out of. What was added to the overflow is filtered, too."""
    if not policy.opt_out:
        return attributes
    exported: Attributes = policy.without_opted_out(attributes)  # type: ignore[assignment]  # the values stay as they are
    text = exported.pop(_OVERFLOW, None)
    if isinstance(text, str):
        rest = policy.without_opted_out(json.loads(text))
        if rest:
            add_overflow(exported, rest)
    return exported


def merge_attributes(attributes: Attributes, others: Mapping[str, AttributeValue]) -> None:
    """Add other attributes, whose overflow is added to the overflow that is there."""
    former = attributes.get(_OVERFLOW)
    attributes.update(others)
    text = others.get(_OVERFLOW)
    if isinstance(former, str) and isinstance(text, str):
        attributes[_OVERFLOW] = f"{former[:-1]},{text[1:]}"


def _paths(form: dict[str, object], parents: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield each value of a nested dict with the keys that lead to it. Empty dicts are omitted."""
    for key, value in form.items():
        path = (*parents, key)
        if not isinstance(value, dict):
            yield path, value
        elif len(path) < MAX_DEPTH:
            yield from _paths(value, path)
        elif value:
            yield path, value


def can_be_in_a_name(key: str) -> bool:
    """Return True if a key of a dict can be a part of the name of an attribute."""
    return 0 < len(key) <= MAX_KEY_LENGTH and key.isprintable()
