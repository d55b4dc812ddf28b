"""The fields at the top of a dashboard choose what the panels show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import VariableModel

from heliograph.dashboards import variables
from heliograph.dashboards.data_sources import DataSource


def stored(variable: VariableModel) -> dict[str, Any]:
    """Return a variable as Grafana stores it."""
    found: dict[str, Any] = json.loads(json.dumps(variable, cls=JSONEncoder))
    return found


def test_all_services_are_chosen_at_first() -> None:
    """Each store of events has its own way to say `all`."""
    found = stored(variables.services(".+"))

    assert (found["name"], found["multi"], found["includeAll"], found["allValue"]) == ("service", True, True, ".+")
    assert found["current"]["value"] == "$__all"
    assert found["query"]["query"].startswith("label_values(heliograph_events")


def test_one_service_is_chosen_of_those_with_the_events() -> None:
    """A dot in the name of an event matches nothing but a dot."""
    found = stored(variables.service(["shop.order_placed", "shop.opened"]))

    assert (found["multi"], found["includeAll"]) == (False, False)
    assert '=~"shop[.]order_placed|shop[.]opened"' in found["query"]["query"]


def test_events_are_those_of_the_chosen_services() -> None:
    found = stored(variables.events())

    assert (found["name"], found["allValue"]) == ("event", ".*")
    assert '=~"$service"' in found["query"]["query"]


def test_text_is_empty_at_first() -> None:
    """An empty text limits nothing."""
    found = stored(variables.text("actor", "Actor contains", "A part of user.id."))

    assert (found["type"], found["query"], found["description"]) == ("textbox", "", "A part of user.id.")


def test_first_of_the_values_is_chosen_at_first() -> None:
    """The list is not empty where all is well."""
    found = stored(variables.choice("result", "Result", "The result.", ["valid", "expired"]))

    assert found["query"] == "valid,expired"
    assert found["current"]["value"] == "valid"
    assert [(option["value"], option["selected"]) for option in found["options"]] == [
        ("valid", True),
        ("expired", False),
    ]


@pytest.mark.parametrize("kind", DataSource)
def test_data_source_can_be_chosen(kind: DataSource) -> None:
    """The variable has the name that the queries of that kind use."""
    found = stored(variables.data_source(kind))

    assert (found["type"], found["name"], found["query"]) == ("datasource", kind.variable, kind.plugin)
    assert found["label"].startswith("Data: ")


def test_no_variable_has_settings_of_another_type() -> None:
    """Grafana's SDK would write the settings of intervals for other variables, too."""
    found = stored(variables.text("actor", "Actor contains", ""))

    assert not {"auto", "auto_min", "auto_count"} & {key for key, value in found.items() if value is not None}
