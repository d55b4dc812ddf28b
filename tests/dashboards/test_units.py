"""Units of UCUM are shown as Grafana shows them."""

from __future__ import annotations

import pytest

from heliograph.dashboards.units import grafana_unit


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("s", "s"),
        ("min", "m"),
        ("By", "bytes"),
        ("KiBy", "kbytes"),
        ("kBy", "deckbytes"),
        ("%", "percent"),
        ("Cel", "celsius"),
        *((unit, "short") for unit in (None, "", "1", "{post}")),
        *((unit, f"suffix: {unit}") for unit in ("EUR", "m", "kg")),
    ],
)
def test_units(unit: str | None, shown: str) -> None:
    """A unit that Grafana does not know stands behind the number. `m` is a metre, and not Grafana's minute."""
    assert grafana_unit(unit) == shown
