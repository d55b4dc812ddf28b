"""List the effective settings and the source of each: the environment, Datasette's configuration, or the default."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from heliograph.doctor.secrecy import HIDDEN, is_shown, shown_variable
from heliograph.settings import FIELDS, Settings, variable_name

_PACKAGES: Final = (
    "heliograph",
    "datasette",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry-exporter-otlp-proto-grpc",
    "opentelemetry-configuration",
    "grpcio",
)


@dataclass(frozen=True, kw_only=True)
class ShownSetting:
    """A setting or a variable, as it may be shown.

    Attributes:
        name: The name of the variable.
        value: The effective value; secrets are hidden.
        source: The source of the value: ``environment``, ``configuration`` or ``default``.
    """

    name: str
    value: str
    source: str


def settings_of(
    settings: Settings, environ: Mapping[str, str], config: Mapping[str, object] | None = None
) -> list[ShownSetting]:
    """Return the settings of heliograph, with the source of each.

    Args:
        settings: The settings.
        environ: The environment that they were read from.
        config: Datasette's ``plugins: heliograph:``.
    """
    found = []
    for name, field in FIELDS.items():
        variable = variable_name(name)
        source = "environment" if environ.get(variable) else "configuration" if name in (config or {}) else "default"
        value = getattr(settings, name)
        is_hidden = field.metadata["secret"] and source != "default"
        found.append(ShownSetting(name=variable, value=HIDDEN if is_hidden else _shown(value), source=source))
    return found


def variables_of(environ: Mapping[str, str]) -> list[ShownSetting]:
    """Return the variables that set telemetry up: OpenTelemetry's, proxies, and certificates to trust."""
    return [
        ShownSetting(name=name, value=shown_variable(name, value), source="environment")
        for name, value in sorted(environ.items())
        if value and is_shown(name)
    ]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that are installed."""
    found = {"python": sys.version.split()[0]}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _shown(value: object) -> str:
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, (bool, str, int, Path)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    words = sorted(map(_shown, value)) if isinstance(value, frozenset) else value
    if isinstance(words, Iterable) and not isinstance(words, Mapping):
        return ",".join(map(_shown, words)) or "none"
    return "none"
