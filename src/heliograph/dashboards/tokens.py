"""The dashboard *Tokens*: which tokens were created, used and rejected, by whom, why, and how long that took."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel, VariableModel

from heliograph.dashboards import panels, promql, variables
from heliograph.dashboards.backends import Backends
from heliograph.dashboards.data_sources import DataSource, Query
from heliograph.dashboards.event_store import EVENT_NAME_FIELD, Conditions, Contains, EventStore, IsOneOf
from heliograph.dashboards.layout import Section, dashboard_json
from heliograph.dashboards.promql import RATE_WINDOW, WHOLE_RANGE
from heliograph.dashboards.traces import TraceStore
from heliograph.semconv import (
    OWN_EVENTS,
    SCOPE,
    TOKEN_CREATE_DURATION,
    TOKEN_HANDLER,
    TOKEN_ID,
    TOKEN_RESULT,
    TOKEN_TARGET_ID,
    TOKEN_VERIFICATIONS,
    TOKEN_VERIFY,
    TOKEN_VERIFY_DURATION,
    MetricName,
)
from heliograph.tokens.events import TokenRejected
from heliograph.tokens.rejections import ERROR, RESULTS, VALID

UID: Final = "heliograph-tokens"

_RESULT: Final = promql.label(TOKEN_RESULT)
_HANDLER: Final = promql.label(TOKEN_HANDLER)
_VERIFICATIONS: Final = promql.counter(TOKEN_VERIFICATIONS)

_HERE: Final = f"/d/{UID}?${{__url_time_range}}&${{service:queryparam}}"
"""The address of this dashboard with the same time and services."""


def tokens_dashboard(backends: Backends) -> str:
    """Return the dashboard, as JSON."""
    store = backends.events
    return dashboard_json(
        UID,
        "Tokens",
        "Which API tokens were created, used and rejected, by whom, why, and how long that took.",
        _variables(backends),
        [
            Section(lines=(_numbers(), _verifications(), _durations())),
            Section(title="Single tokens", lines=(_single_tokens(store), (_latest(store),))),
            Section(title="Traces", lines=((_traces(backends.traces),),)),
        ],
    )


def _variables(backends: Backends) -> list[VariableModel]:
    store = backends.events
    return [
        variables.services(store.every_service),
        variables.text(
            "actor", "Actor contains", f"A part of {store.actor}. Empty: every actor. Metrics have no actors."
        ),
        variables.text(
            "token",
            "Token id contains",
            f"A part of {TOKEN_TARGET_ID}. Empty: every token. Metrics have no tokens.",
        ),
        variables.choice(
            "result",
            "Traces with the result",
            "The result of the verifications whose traces are listed at the end.",
            sorted(RESULTS, key=lambda result: (result != VALID, result)),
        ),
        *map(variables.data_source, (DataSource.PROMETHEUS, store.data_source, backends.traces.data_source)),
    ]


def _numbers() -> tuple[Panel, ...]:
    failed = promql.of_services(_VERIFICATIONS, f'{_RESULT}="{ERROR}"')
    created = promql.of_services(f"{promql.gauge(TOKEN_CREATE_DURATION)}_count")
    return (
        panels.number(
            "Verifications",
            "The number of tokens that were verified in this time, with any result.",
            [_sum(promql.of_services(_VERIFICATIONS), "verifications")],
            is_count=True,
        ),
        _share_of_rejected(),
        panels.number(
            "Failed handlers",
            "Verifications whose token handler raised an exception, so that a valid token may have been rejected. Look at the traces with the "
            "result `error`, and at the log of the service.",
            [_sum(failed, "failed")],
            is_count=True,
            thresholds=panels.limits(1),
        ),
        panels.number(
            "Tokens created",
            "Operations that created a token.",
            [_sum(created, "created")],
            is_count=True,
        ),
    )


def _sum(selector: str, legend: str) -> Query:
    return promql.now(promql.increase(selector, WHOLE_RANGE), legend)


def _share_of_rejected() -> Panel:
    every = promql.increase(promql.of_services(_VERIFICATIONS), WHOLE_RANGE)
    rejected = promql.increase(_rejected(), WHOLE_RANGE)
    return panels.number(
        "Share of rejected tokens",
        "Verifications whose result is not `valid`, of all. If it rises, look at the reasons below: a client may have an old token, or "
        "somebody may be guessing.",
        [promql.now(f"{rejected} / ({every} > 0)", "rejected")],
        unit="percentunit",
        thresholds=panels.limits(0.1, 0.5),
    )


def _rejected() -> str:
    return promql.of_services(_VERIFICATIONS, f'{_RESULT}!="{VALID}"')


def _verifications() -> tuple[Panel, ...]:
    everything = promql.of_services(_VERIFICATIONS)
    handled = promql.of_services(_VERIFICATIONS, f'{_HANDLER}!=""')
    return (
        panels.graph(
            "Verifications by result",
            "`invalid` and `unrecognized`: somebody guesses, or a client has a token of another system. `expired` and `revoked`: a client "
            "needs a new token. `error`: a token handler failed.",
            [promql.counts(everything, promql.legend(_RESULT), _RESULT)],
            are_counts=True,
        ),
        panels.shares(
            "Rejected tokens by reason",
            "Verifications in this time whose result is not `valid`.",
            [promql.now(promql.increase(_rejected(), WHOLE_RANGE, _RESULT), promql.legend(_RESULT))],
        ),
        panels.ranking(
            "Verifications by token handler",
            "The handler that decided. Tokens that no handler recognizes have none.",
            [promql.now(f"{promql.increase(handled, WHOLE_RANGE, _HANDLER)} > 0", promql.legend(_HANDLER))],
        ),
    )


def _durations() -> tuple[Panel, ...]:
    return (
        _duration("verify", TOKEN_VERIFY_DURATION, "A slow handler delays every request that has a token."),
        _duration("create", TOKEN_CREATE_DURATION, "Creating a token stores it, or signs it."),
    )


def _duration(verb: str, metric: MetricName, meaning: str) -> Panel:
    shares = {"median": 0.5, "95 %": 0.95, "99 %": 0.99}
    return panels.graph(
        f"Time to {verb} a token",
        f"{meaning} Half of the operations take less time than the median; 95 % and 99 % take less than the other lines. A dot is one operation: click on it for its trace.",
        [
            promql.over_time(
                promql.quantile(share, metric, RATE_WINDOW), legend, exemplars=share == max(shares.values())
            )
            for legend, share in shares.items()
        ],
        unit="s",
    )


def _about_tokens(store: EventStore, *event_names: str) -> Conditions:
    """Return the conditions for events with these names that concern the chosen actors and tokens."""
    return (
        IsOneOf(field=EVENT_NAME_FIELD, values=event_names),
        Contains(field=store.actor, variable="actor"),
        Contains(field=TOKEN_TARGET_ID, variable="token"),
    )


def _single_tokens(store: EventStore) -> tuple[Panel, ...]:
    chosen = _about_tokens(store, *sorted(OWN_EVENTS))
    rejected = _about_tokens(store, f"{SCOPE}.{TokenRejected.name.replace('-', '_')}")
    return (
        panels.graph(
            "Events about tokens",
            "Tokens that were created, used for the first time, rejected, revoked and rotated. Rejections for one reason are limited to a "
            "number of events in a minute; the graph of verifications counts all.",
            [store.over_time(chosen, EVENT_NAME_FIELD)],
            are_counts=True,
        ),
        panels.ranking(
            "Most rejected tokens",
            f"The ids of rejected tokens ({TOKEN_TARGET_ID}), as far as the handler knows them: their owners need new ones. Click on one to see "
            "its events alone.",
            [store.most_frequent(rejected, TOKEN_TARGET_ID)],
            link=panels.link_to("Only this token", f"{_HERE}&var-token={store.value_in_link(TOKEN_TARGET_ID)}"),
            nothing="No known token was rejected",
        ),
        panels.ranking(
            "Actors with the most events about tokens",
            f"Who created, first used, revoked or rotated tokens ({store.actor}).",
            [store.most_frequent(chosen, store.actor)],
            link=panels.link_to("Only this actor", f"{_HERE}&var-actor={store.value_in_link(store.actor)}"),
            nothing="No event about a token has an actor",
        ),
    )


def _latest(store: EventStore) -> Panel:
    return panels.event_list(
        "Latest events about tokens",
        f"Open an event to see its attributes, such as {TOKEN_ID}. The link at its trace_id leads to the trace.",
        [store.latest(_about_tokens(store, *sorted(OWN_EVENTS)))],
    )


def _traces(store: TraceStore) -> Panel:
    return panels.trace_list(
        "Verifications of $service with the result $result",
        "The latest traces with such a verification. Choose the result at the top of the dashboard.",
        [store.with_span(TOKEN_VERIFY, {TOKEN_RESULT: "$result"})],
        for_each_service=True,
        nothing="No verification has this result in this time",
    )
