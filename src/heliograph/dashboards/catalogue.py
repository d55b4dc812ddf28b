"""The dashboard *Catalogue*: a row for each event of a program, with panels for its fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel

from heliograph.dashboards import panels, promql, variables
from heliograph.dashboards.backends import Backends
from heliograph.dashboards.data_sources import DataSource
from heliograph.dashboards.event_store import EVENT_NAME_FIELD, Conditions, EventStore, Is, IsNoneOf, IsOneOf
from heliograph.dashboards.field_panels import field_panels
from heliograph.dashboards.layout import Line, Section, dashboard_json
from heliograph.events import Privacy
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.wire_attributes import privacy_by_path
from heliograph.semconv import EVENT_NAME, EVENT_VERSION, EVENT_VIOLATIONS, OWN_EVENTS, VIOLATION_KIND, VIOLATIONS

UID: Final = "heliograph-catalogue"

OPEN_ROWS: Final = 3
"""With more events than this, all rows are closed at first. Grafana does not run the queries of a closed row."""
_PANELS_IN_A_LINE: Final = 3


def catalogue_uid(name: str | None) -> str:
    """Return the uid of the catalogue with this name, or of the only catalogue."""
    return UID if name is None else f"{UID}-{name}"


def catalogue_dashboard(schemas: Sequence[EventSchema], backends: Backends, name: str | None = None) -> str:
    """Return the dashboard for the events of these schemas, as JSON.

    Args:
        schemas: The schemas.
        backends: The stores.
        name: The name of the catalogue, if Grafana has several.
    """
    ordered = sorted(schemas, key=lambda schema: schema.label)
    names = sorted({schema.event_name for schema in ordered})
    sections = [Section(lines=(_overview(names, backends.events), _unknown_and_invalid(names, backends.events)))]
    versions = Counter(schema.event_name for schema in ordered)
    for schema in ordered:
        where = _events_of(schema, has_siblings=versions[schema.event_name] > 1)
        sections.append(_row(schema, where, backends, is_closed=len(ordered) > OPEN_ROWS))
    return dashboard_json(
        catalogue_uid(name),
        "Catalogue" if name is None else f"Catalogue: {name}",
        "Each event of a program, with a panel for each field that a panel can show.",
        [
            variables.service(names),
            *map(
                variables.data_source, (DataSource.PROMETHEUS, backends.events.data_source, backends.traces.data_source)
            ),
        ],
        sections,
    )


def _overview(names: Sequence[str], store: EventStore) -> Line:
    where: Conditions = (IsOneOf(field=EVENT_NAME_FIELD, values=tuple(names)),)
    return (
        panels.graph(
            "Events over time",
            "The number of events of this catalogue in each interval, by name.",
            [store.over_time(where, EVENT_NAME_FIELD)],
            are_counts=True,
        ),
        panels.ranking(
            "Most frequent events",
            "At most ten events. If fewer are shown, the others of the catalogue did not happen.",
            [store.most_frequent(where, EVENT_NAME_FIELD)],
        ),
    )


def _unknown_and_invalid(names: Sequence[str], store: EventStore) -> Line:
    where: Conditions = (IsNoneOf(field=EVENT_NAME_FIELD, values=tuple(sorted({*names, *OWN_EVENTS}))),)
    kind, event = promql.label(VIOLATION_KIND), promql.label(EVENT_NAME)
    violations = promql.of_services(promql.counter(VIOLATIONS))
    return (
        panels.ranking(
            "Events that are not in this catalogue",
            "The service has a class that was added after the catalogue was generated, or that is not in it. Generate it again.",
            [store.most_frequent(where, EVENT_NAME_FIELD)],
            nothing="None: the catalogue has every event",
        ),
        panels.graph(
            "Events that violate their schema",
            f"By kind and event. Such an event has the attribute {EVENT_VIOLATIONS} with the paths of the wrong fields.",
            [promql.counts(violations, promql.legend(kind, event), kind, event)],
            are_counts=True,
        ),
    )


def _row(schema: EventSchema, where: Conditions, backends: Backends, *, is_closed: bool) -> Section:
    lines = [_occurrences(schema, where, backends), *_lines(list(_panels_of_fields(schema, backends.events, where)))]
    lines.append((_latest(backends.events, where),))
    title = f"{schema.label}: {schema.brief}" if schema.brief else schema.label
    return Section(title=title, lines=tuple(lines), is_closed=is_closed)


def _events_of(schema: EventSchema, *, has_siblings: bool) -> Conditions:
    """Return the conditions for the events of one schema, also if there are other versions of it."""
    name = Is(field=EVENT_NAME_FIELD, value=schema.event_name)
    if schema.version is None and not has_siblings:
        return (name,)
    # In both stores, the condition that a field is empty finds the records without it.
    return name, Is(field=EVENT_VERSION, value=schema.version or "")


def _occurrences(schema: EventSchema, where: Conditions, backends: Backends) -> Line:
    return (
        panels.graph(
            "How often",
            "The number of events in each interval.",
            [backends.events.over_time(where, EVENT_NAME_FIELD)],
            are_counts=True,
        ),
        panels.ranking(
            "By whom",
            f"Actors ({backends.events.actor}) by their number of events.",
            [backends.events.most_frequent(where, backends.events.actor)],
            nothing="No such event has an actor",
        ),
        panels.trace_list(
            "Latest traces with this event",
            "Events that are tracked outside of a span are in no trace.",
            [backends.traces.with_event(schema.event_name)],
            nothing="No such event is in a trace",
        ),
    )


def _panels_of_fields(schema: EventSchema, store: EventStore, where: Conditions) -> Iterator[Panel]:
    # A field inside of a value that is protected as a whole has no privacy of its own here, because it is not an attribute on the wire.
    privacies = dict(privacy_by_path(schema.emitted_fields(), schema.policy))
    for attribute in schema.wire_attributes():
        if schema.policy.without_opted_out({attribute.name: None}):
            yield from field_panels(attribute, privacies.get(attribute.path, Privacy.DROP), store, where)


def _lines(found: Sequence[Panel]) -> Iterator[Line]:
    """Divide panels among lines that have nearly the same number of them."""
    rest, lines = iter(found), -(-len(found) // _PANELS_IN_A_LINE)
    for number in range(lines, 0, -1):
        width = len(found) * number // lines - len(found) * (number - 1) // lines
        yield tuple(islice(rest, width))


def _latest(store: EventStore, where: Conditions) -> Panel:
    return panels.event_list(
        "Latest events",
        "Open an event to see its attributes. If it happened in a span, the link at its trace_id leads to the trace.",
        [store.latest(where)],
    )
