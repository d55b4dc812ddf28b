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
from heliograph.settings import FIELDS, Settings, given_in, variable_name

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
        value: The effective value, or the given one if it is not usable; secrets are hidden.
        source: The source of the value: ``environment``, ``configuration`` or ``default``.
        usable: False if the value is not allowed.
    """

    name: str
    value: str
    source: str
    usable: bool = True


def settings_of(
    values: Mapping[str, object], environ: Mapping[str, str], config: Mapping[str, object] | None = None
) -> list[ShownSetting]:
    """Return the settings of heliograph, with the source of each.

    Args:
        values: The values that are set and allowed, from `read_settings`.
        environ: The environment that they were read from.
        config: Datasette's ``plugins: heliograph:``.
    """
    defaults, in_environment = Settings(), given_in(environ)
    in_config = config if isinstance(config, Mapping) else {}
    found = []
    for name, field in FIELDS.items():
        sources = {"environment": in_environment, "configuration": in_config}
        source = next((each for each, given in sources.items() if name in given), "default")
        usable = source == "default" or name in values
        value = values.get(name, getattr(defaults, name)) if usable else str(sources[source][name])
        is_hidden = field.metadata["secret"] and source != "default"
        shown = HIDDEN if is_hidden else _shown(value)
        found.append(ShownSetting(name=variable_name(name), value=shown, source=source, usable=usable))
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
