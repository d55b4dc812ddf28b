"""The dashboard *Events*: which events happened, when, and who caused them."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel, VariableModel

from heliograph.dashboards import panels, promql, variables
from heliograph.dashboards.backends import Backends
from heliograph.dashboards.data_sources import DataSource, Query
from heliograph.dashboards.event_store import (
    EVENT_NAME_FIELD,
    SEVERITY_FIELD,
    Chosen,
    Conditions,
    Contains,
    EventStore,
    IsAtLeast,
)
from heliograph.dashboards.layout import Section, dashboard_json
from heliograph.events import Severity
from heliograph.semconv import (
    EMIT_FAILURES,
    ERROR_TYPE,
    EVENT_NAME,
    EVENT_VIOLATIONS,
    FAILED_CODE,
    HOOK,
    HOOK_FAILURES,
    SIGNAL,
    TOKEN_ID,
    VIOLATION_KIND,
    VIOLATIONS,
    AttributeName,
    MetricName,
)

UID: Final = "heliograph-events"

_HERE: Final = f"/d/{UID}?${{__url_time_range}}&${{service:queryparam}}&${{event:queryparam}}"
"""The address of this dashboard with the same time, services and events."""


def events_dashboard(backends: Backends) -> str:
    """Return the dashboard, as JSON."""
    store = backends.events
    chosen = _chosen(store)
    lines = (_numbers(store, chosen), _graphs(store, chosen), _rankings(store, chosen), (_latest(store, chosen),))
    return dashboard_json(
        UID,
        "Events",
        "Which events happened, when, and who caused them.",
        _variables(store),
        [Section(lines=lines), Section(title="Problems with events", lines=(_problems(),))],
    )


def _variables(store: EventStore) -> list[VariableModel]:
    return [
        variables.services(store.every_service),
        variables.events(),
        variables.text(
            "actor", "Actor contains", f"A part of {store.actor}. Empty: every actor, and events without one."
        ),
        variables.text("token", "Token id contains", f"A part of {TOKEN_ID}. Empty: every token, and none."),
        *map(variables.data_source, (DataSource.PROMETHEUS, store.data_source)),
    ]


def _chosen(store: EventStore) -> Conditions:
    """Return the conditions for the events that the variables choose."""
    return (
        Chosen(field=EVENT_NAME_FIELD, variable="event"),
        Contains(field=store.actor, variable="actor"),
        Contains(field=TOKEN_ID, variable="token"),
    )


def _numbers(store: EventStore, chosen: Conditions) -> tuple[Panel, ...]:
    warnings = (*chosen, IsAtLeast(field=SEVERITY_FIELD, number=Severity.WARN))
    return (
        panels.number("Events", "The number of events in this time.", [store.count(chosen)]),
        panels.number(
            "Kinds of events", "The number of different event names.", [store.count_distinct(chosen, EVENT_NAME_FIELD)]
        ),
        panels.number(
            "Actors",
            "The number of different actors. Events without an actor are not counted.",
            [store.count_distinct(chosen, store.actor)],
        ),
        panels.number(
            "Warnings and errors",
            "Events whose class declares the severity WARN or higher. The list of the latest events shows them in color.",
            [store.count(warnings)],
        ),
    )


def _graphs(store: EventStore, chosen: Conditions) -> tuple[Panel, ...]:
    return (
        panels.graph(
            "Events over time",
            "The number of events in each interval, by name. Click on a name in the legend to see it alone.",
            [store.over_time(chosen, EVENT_NAME_FIELD)],
            are_counts=True,
        ),
    )


def _rankings(store: EventStore, chosen: Conditions) -> tuple[Panel, ...]:
    return (
        panels.ranking("Most frequent events", "Event names.", [store.most_frequent(chosen, EVENT_NAME_FIELD)]),
        panels.ranking(
            "Most active actors",
            f"Actors ({store.actor}) by their number of events. Click on one to see its events alone.",
            [store.most_frequent(chosen, store.actor)],
            link=panels.link_to("Only this actor", f"{_HERE}&var-actor={store.value_in_link(store.actor)}"),
        ),
        panels.ranking(
            "Most used tokens",
            f"The ids of tokens ({TOKEN_ID}) that events were made with. An id is not secret. Click on one to see its events alone.",
            [store.most_frequent(chosen, TOKEN_ID)],
            link=panels.link_to("Only this token", f"{_HERE}&var-token={store.value_in_link(TOKEN_ID)}"),
            nothing="No event was made with a token",
        ),
    )


def _latest(store: EventStore, chosen: Conditions) -> Panel:
    return panels.event_list(
        "Latest events",
        "Open an event to see its attributes. If it happened in a span, the link at its trace_id leads to the trace.",
        [store.latest(chosen)],
    )


def _problems() -> tuple[Panel, ...]:
    return (
        panels.graph(
            "Events that violate their schema",
            f"By kind and event. Each such event has the attribute {EVENT_VIOLATIONS} with the paths of the wrong fields: fix the "
            "code that makes the event, or its class.",
            [_failures(VIOLATIONS, VIOLATION_KIND, EVENT_NAME)],
            are_counts=True,
        ),
        panels.graph(
            "Events that could not be emitted",
            "By the signal or the code of the program that failed, and by the type of the exception. The log of the service has the first one.",
            [_failures(EMIT_FAILURES, SIGNAL, FAILED_CODE, ERROR_TYPE)],
            are_counts=True,
        ),
        panels.graph(
            "Plugin hooks that failed",
            "By hook and type of the exception. The event itself was emitted; the plugin missed it.",
            [_failures(HOOK_FAILURES, HOOK, ERROR_TYPE)],
            are_counts=True,
        ),
    )


def _failures(metric: MetricName, *attributes: AttributeName) -> Query:
    labels = [promql.label(attribute) for attribute in attributes]
    selector = promql.of_services(promql.counter(metric))
    return promql.counts(selector, promql.legend(*labels), *labels)
