"""Find the namespace for the events of an installed plugin: the name of its distribution, unless a class names a namespace itself.

Many plugins can be installed in one Datasette. If all had the same namespace, events of two plugins could have the same event name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Final

from datasette.plugins import pm

from heliograph.schema import conventions
from heliograph.semconv import EVENT_NAME_PATTERN, SCOPE

_RESERVED: Final = frozenset({SCOPE, "datasette", "otel"})
"""The first words of names that belong to heliograph, to Datasette's core and to OpenTelemetry."""


def namespace_of(event_class: type, default: str) -> str:
    """Return the namespace for the events of a class that names none.

    Args:
        event_class: The class.
        default: The namespace if the class is not from an installed plugin, but from ``--plugins-dir`` for example, or if the
            distribution's name is reserved or is not a valid namespace.
    """
    distribution = _distribution_of(event_class.__module__)
    # The normal form of such names, with `_` in place of `-`.
    namespace = re.sub(r"[-_.]+", "_", distribution or "").lower()
    is_legal = EVENT_NAME_PATTERN.fullmatch(namespace) is not None
    return default if not is_legal or _is_reserved(namespace) else namespace


def _is_reserved(namespace: str) -> bool:
    return namespace in _RESERVED or conventions.is_reserved(f"{namespace}.event")


def _distribution_of(module: str) -> str | None:
    """Return the distribution of the plugin whose module has the most leading names in common with this one.

    Return `None` if there is no such plugin, or if there are plugins of several distributions, as in a namespace package.
    """
    # Datasette does not add the files of --plugins-dir to `sys.modules`.
    if module not in sys.modules:
        return None
    shared = [(_shared(module, name), distribution) for name, distribution in _plugins()]
    most = max((count for count, _ in shared), default=0)
    found = {distribution for count, distribution in shared if count == most and count > 0}
    return found.pop() if len(found) == 1 else None


def _plugins() -> Iterator[tuple[str, str]]:
    """Yield the module of each installed plugin, and the name of its distribution."""
    for plugin, distribution in pm.list_plugin_distinfo():
        module, name = getattr(plugin, "__name__", None), distribution.metadata["name"]
        if isinstance(module, str) and isinstance(name, str):
            yield module, name


def _shared(module: str, other: str) -> int:
    """Return the number of leading names that two modules share."""
    count = 0
    for one, another in zip(module.split("."), other.split(".")):
        if one != another:
            break
        count += 1
    return count
