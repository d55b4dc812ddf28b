"""The variables of Grafana in queries, replaced as Grafana replaces them before it sends a query."""

from __future__ import annotations

import re
from collections.abc import Mapping

GLOBAL: Mapping[str, str] = {
    "__interval": "15s",
    "__interval_ms": "15000",
    "__rate_interval": "1m",
    "__range": "1h",
    "__range_s": "3600",
    "__range_ms": "3600000",
    "__auto": "15s",
}
"""The values that Grafana itself fills in, as for a panel of the last hour."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})|\[\[(\w+)\]\]")


def replaced(query: str, variables: Mapping[str, str] | None = None) -> str:
    """Return a query with values in place of its variables: `$name`, `${name}`, `${name:format}` and `[[name]]`.

    Args:
        query: The query.
        variables: The values of the dashboard's own variables, by name.

    Raises:
        KeyError: A variable has no value.
    """
    values = {**GLOBAL, **(variables or {})}
    return _VARIABLE.sub(lambda found: values[next(name for name in found.groups() if name)], query)
