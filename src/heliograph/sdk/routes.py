"""The route of each signal in this process: the owner of its provider, and the places that the provider exports to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heliograph.classes import qualified_name
from heliograph.sdk.counting_provider import CountingProvider
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.global_providers import find_provider
from heliograph.version import __version__

HELIOGRAPH: Final = "heliograph"
"""The owner of the providers that heliograph has created."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """The route of a signal.

    Attributes:
        signal: The signal.
        owner: `HELIOGRAPH`, the name of another owner, or an empty text if no provider is set.
        destinations: The places that a provider of heliograph exports to, as they may be shown. The places of other owners are unknown.
    """

    signal: TelemetrySignal
    owner: str
    destinations: tuple[str, ...] = ()


def find_routes(outbox: Path | None = None, names: Mapping[TelemetrySignal, str] | None = None) -> list[Route]:
    """Return the route of each signal.

    Args:
        outbox: The setting ``outbox``.
        names: The names of the owners of other providers, where they are known; the default is the provider's class.
    """
    return [_route(signal, outbox, (names or {}).get(signal)) for signal in TelemetrySignal]


def describe(routes: list[Route]) -> str:
    """Return one line about all routes, for the log."""
    return f"heliograph {__version__} exports " + "; ".join(map(_text, routes))


def _route(signal: TelemetrySignal, outbox: Path | None, name: str | None) -> Route:
    provider = find_provider(signal)
    if provider is None:
        return Route(signal=signal, owner="")
    if isinstance(provider, CountingProvider):
        return Route(signal=signal, owner=HELIOGRAPH, destinations=tuple(_destinations(provider, outbox)))
    return Route(signal=signal, owner=name or qualified_name(provider))


def _destinations(provider: CountingProvider, outbox: Path | None) -> Iterator[str]:
    if provider.pipeline is None:
        return
    if provider.pipeline.has_outbox:
        yield f"the outbox {outbox}"
    for exporter in provider.pipeline.exporters:
        yield exporter.destination
    for reader in provider.pipeline.kept:
        yield type(reader).__name__


def _text(route: Route) -> str:
    if not route.owner:
        return f"{route.signal.value} nowhere"
    if route.owner != HELIOGRAPH:
        return f"{route.signal.value} by the provider of {route.owner}"
    return f"{route.signal.value} to {', '.join(route.destinations) or 'nowhere'}"
