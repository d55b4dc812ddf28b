"""Variables of Grafana in queries."""

from __future__ import annotations

import pytest

from stack.variables import replaced


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("rate(x[$__rate_interval])", "rate(x[1m])"),
        ("rate(x[${__interval}])", "rate(x[15s])"),
        ('x{job=~"$service"}', 'x{job=~"shop"}'),
        ('x{job=~"${service:regex}",a="[[service]]"}', 'x{job=~"shop",a="shop"}'),
        ('x{a=~".+$"}', 'x{a=~".+$"}'),
    ],
)
def test_each_form_of_a_variable_is_replaced(query: str, wanted: str) -> None:
    """The variables are those of Grafana and those of the dashboard. A dollar sign that names none stays."""
    assert replaced(query, {"service": "shop"}) == wanted


def test_a_variable_without_a_value_is_an_error() -> None:
    """A misspelt variable is not sent to a backend, where it would be a query that finds nothing."""
    with pytest.raises(KeyError, match="servcie"):
        replaced('x{job=~"$servcie"}', {"service": "shop"})
