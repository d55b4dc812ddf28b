"""Convert the units of attributes, in UCUM, to Grafana's units."""

from __future__ import annotations

from typing import Final

_UNITS: Final = {
    "ns": "ns",
    "us": "µs",
    "ms": "ms",
    "s": "s",
    "min": "m",
    "h": "h",
    "d": "d",
    "By": "bytes",
    "kBy": "deckbytes",
    "MBy": "decmbytes",
    "GBy": "decgbytes",
    "KiBy": "kbytes",
    "MiBy": "mbytes",
    "GiBy": "gbytes",
    "%": "percent",
    "Cel": "celsius",
    "Hz": "hertz",
    "W": "watt",
}

RATIOS: Final = frozenset({"1", "%"})
"""The units of ratios, whose sum has no meaning."""


def grafana_unit(unit: str | None) -> str:
    """Return Grafana's unit for a unit in UCUM. Units that Grafana does not know are shown behind the number.

    >>> grafana_unit("s"), grafana_unit("{post}"), grafana_unit("EUR"), grafana_unit(None)
    ('s', 'short', 'suffix: EUR', 'short')
    """
    if not unit or unit == "1" or unit.startswith("{"):
        return "short"
    return _UNITS.get(unit, f"suffix: {unit}")
