"""The data sources and dashboards that Grafana is provisioned with, checked by what is documented of them. Grafana itself is not run.

Source: Grafana's documentation of provisioning and of each data source, and the type `Options` of victoriametrics-logs-datasource.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from backends.grammars import syntax_errors
from backends.program import CONFIG
from heliograph import semconv

GRAFANA = CONFIG / "grafana"
OWN = GRAFANA / "provisioning" / "datasources" / "heliograph.yaml"
OF_GRAFANA = GRAFANA / "loki-tempo" / "datasources.yaml"
PROVIDERS = GRAFANA / "provisioning" / "dashboards" / "heliograph.yaml"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))

TEXT = {"type": "string", "minLength": 1}
FLAG = {"type": "boolean"}
TIME = {"type": "string", "pattern": r"^-?\d+(ms|s|m|h)$"}


def closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object that has these keys and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def listed(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


DERIVED_FIELD = closed(
    {
        "name": TEXT,
        "matcherType": {"enum": ["label", "regex"]},
        "matcherRegex": TEXT,
        "url": TEXT,
        "urlDisplayLabel": TEXT,
    },
    {"datasourceUid": TEXT},
)
LEVELS = {"enum": ["critical", "error", "warning", "info", "debug", "trace"]}
OPERATORS = {"enum": ["equals", "notEquals", "greaterThan", "lessThan", "regex"]}
TRACES = closed(
    {
        "tracesToLogsV2": closed(
            {
                "datasourceUid": TEXT,
                "spanStartTimeShift": TIME,
                "spanEndTimeShift": TIME,
                "filterByTraceID": FLAG,
                "filterBySpanID": FLAG,
                "customQuery": FLAG,
                "query": TEXT,
            }
        ),
        "tracesToMetrics": closed(
            {
                "datasourceUid": TEXT,
                "spanStartTimeShift": TIME,
                "spanEndTimeShift": TIME,
                "tags": listed(closed({"key": TEXT, "value": TEXT})),
                "queries": listed(closed({"name": TEXT, "query": TEXT})),
            }
        ),
        "nodeGraph": closed({"enabled": FLAG}),
    }
)
JSON_DATA = {
    "prometheus": closed(
        {
            "httpMethod": {"enum": ["GET", "POST"]},
            "timeInterval": TIME,
            "exemplarTraceIdDestinations": listed(
                closed({"name": TEXT, "datasourceUid": TEXT, "urlDisplayLabel": TEXT})
            ),
        }
    ),
    "victoriametrics-logs-datasource": closed(
        {
            "derivedFields": listed(DERIVED_FIELD),
            "logLevelRules": listed(
                closed(
                    {
                        "field": TEXT,
                        "operator": OPERATORS,
                        "value": {"type": ["string", "number"]},
                        "level": LEVELS,
                        "enabled": FLAG,
                    }
                )
            ),
        }
    ),
    "jaeger": TRACES,
    "loki": closed({"derivedFields": listed(DERIVED_FIELD)}),
    "tempo": TRACES,
}
DATA_SOURCES = closed(
    {
        "apiVersion": {"const": 1},
        "datasources": listed(
            {
                "oneOf": [
                    closed(
                        {
                            "name": TEXT,
                            "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,40}$"},
                            "type": {"const": kind},
                            "access": {"const": "proxy"},
                            "url": {"type": "string", "pattern": r"^http://[a-z]+:\d+$"},
                            "jsonData": json_data,
                        },
                        {"isDefault": FLAG},
                    )
                    for kind, json_data in JSON_DATA.items()
                ]
            }
        ),
    }
)
DASHBOARD_PROVIDERS = closed(
    {
        "apiVersion": {"const": 1},
        "providers": listed(
            closed(
                {
                    "name": TEXT,
                    "folder": TEXT,
                    "type": {"const": "file"},
                    "disableDeletion": FLAG,
                    "allowUiUpdates": FLAG,
                    "updateIntervalSeconds": {"type": "integer", "minimum": 10},
                    "options": closed({"path": TEXT}),
                }
            )
        ),
    }
)

both = pytest.mark.parametrize("path", [OWN, OF_GRAFANA], ids=["own", "loki and tempo"])


def sources(path: Path) -> dict[str, dict[str, Any]]:
    """Return the data sources of a file, by uid."""
    return {source["uid"]: source for source in yaml.safe_load(path.read_text())["datasources"]}


def values_of(value: Any, key: str) -> Iterator[str]:
    """Yield the values of a key, at any depth."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if name == key:
                yield inside
            else:
                yield from values_of(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from values_of(inside, key)


@both
def test_data_sources_have_the_documented_settings(path: Path) -> None:
    """A setting that Grafana does not document is an error."""
    jsonschema.Draft202012Validator(DATA_SOURCES).validate(yaml.safe_load(path.read_text()))


def test_the_provider_has_the_documented_settings() -> None:
    """The provider reads the folder that the dashboards are mounted at."""
    jsonschema.Draft202012Validator(DASHBOARD_PROVIDERS).validate(yaml.safe_load(PROVIDERS.read_text()))


@both
def test_links_lead_to_data_sources_of_the_file(path: Path) -> None:
    """Metrics lead to traces, events to traces, and traces to events and metrics."""
    kinds = {uid: source["type"] for uid, source in sources(path).items()}
    metrics, logs, traces = kinds
    linked = {uid: set(values_of(source["jsonData"], "datasourceUid")) for uid, source in sources(path).items()}

    assert linked[metrics] == {traces}
    assert traces in linked[logs]
    assert linked[traces] == {logs, metrics}


@both
def test_dollar_signs_are_not_variables_of_the_environment(path: Path) -> None:
    """Grafana would replace `$name` by a variable of the environment, which is empty."""
    assert "$" not in re.sub(
        r"\$\$(\{__\w+(\.\w+)?(:\w+)?\}|__tags\b)|^ *#.*$", "", path.read_text(), flags=re.MULTILINE
    )


@both
def test_names_are_those_on_the_wire(path: Path) -> None:
    """Metrics and attributes that the file names exist, also after one was renamed."""
    names = {name.replace(".", "_") for name in vars(semconv).values() if isinstance(name, semconv.Name)}
    found = re.findall(r"\b(?:heliograph|otel)_\w+", path.read_text())

    assert found
    assert {name.removesuffix("_total") for name in found} <= names


@both
def test_there_is_no_secret(path: Path) -> None:
    """Data sources have neither users nor passwords."""
    assert not re.search(r"password|secure|basicAuth|admin|user:", path.read_text(), flags=re.IGNORECASE)


@both
def test_links_to_dashboards_lead_to_ours(path: Path) -> None:
    """The dashboard and the variable of each link exist."""
    dashboards = {
        dashboard["uid"]: dashboard for dashboard in map(json.loads, (file.read_text() for file in DASHBOARDS))
    }
    links = re.findall(r"url: /d/([\w-]+)\?var-(\w+)=", path.read_text())

    assert links
    for uid, variable in links:
        assert variable in {each["name"] for each in dashboards[uid]["templating"]["list"]}


def test_query_for_the_events_of_a_trace_in_loki_parses() -> None:
    """The query has the syntax of LogQL, with an id in place of the variable."""
    query = sources(OF_GRAFANA)["tempo"]["jsonData"]["tracesToLogsV2"]["query"]

    assert syntax_errors([("logql", query.replace("$${__trace.traceId}", "4bd8d8fa9b1badc6728815c34d1682d3"))]) == []


def test_dashboards_are_those_of_the_demo() -> None:
    """The four files are there; `docs/generate.py --check` compares their content."""
    assert [path.stem for path in DASHBOARDS] == [
        "heliograph-catalogue",
        "heliograph-delivery",
        "heliograph-events",
        "heliograph-tokens",
    ]
