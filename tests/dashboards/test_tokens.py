"""The dashboard *Tokens* knows every result of a verification."""

from __future__ import annotations

import json
import re

from dashboards.everything import BACKENDS
from dashboards.panel_queries import panels_of
from heliograph.dashboards.tokens import tokens_dashboard
from heliograph.tokens.rejections import RESULTS, VALID

TOKENS = json.loads(tokens_dashboard(BACKENDS["own"]))


def test_every_result_is_explained() -> None:
    """The graph of results says what each means, apart from `valid`."""
    [text] = [panel["description"] for panel in panels_of(TOKENS) if panel["title"] == "Verifications by result"]

    assert set(re.findall(r"`(\w+)`", text)) == set(RESULTS) - {VALID}


def test_traces_of_every_result_can_be_chosen() -> None:
    """At first the result is `valid`, so that the list is not empty where all is well."""
    [choice] = [each for each in TOKENS["templating"]["list"] if each["name"] == "result"]

    assert choice["current"]["value"] == VALID
    assert {option["value"] for option in choice["options"]} == set(RESULTS)
