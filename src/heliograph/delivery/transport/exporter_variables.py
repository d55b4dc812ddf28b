"""The environment variables of OTLP exporters, ``OTEL_EXPORTER_OTLP_*``: each has a common name, and one for each signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

COMMON_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""The variable whose value is a base URL: a path such as ``/v1/logs`` is appended to it. That of a signal is used as it is."""


def find_variable(name: str, signal: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the variable that applies to a signal, and its value without the spaces around it.

    It is the one of the signal if that is set, else the common one. By the specification, an empty variable counts as unset.

    Args:
        name: The end of the variable's name, such as ``ENDPOINT``.
        signal: The signal: ``logs``, ``traces`` or ``metrics``.
        environ: The environment variables.

    Returns:
        The name and the value; the common name and `None` if neither is set.
    """
    own, common = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    for variable in (own, common):
        if value := environ.get(variable, "").strip():
            return variable, value
    return common, None
