"""Searches for traces: a span by its name and attributes, and an event by its name, in Jaeger and in Tempo."""

from __future__ import annotations

from grafana_foundation_sdk.models.tempo import TempoQuery

from heliograph.dashboards.data_sources import JaegerQuery, Query
from heliograph.dashboards.traces import Jaeger, Tempo

ATTRIBUTES = {"heliograph.token.result": "expired", "note": 'with "quotes"'}


def tags(search: Query) -> str | None:
    assert isinstance(search, JaegerQuery)
    return search.tags


def traceql(search: Query) -> str | None:
    assert isinstance(search, TempoQuery)
    return search.query


def test_span_in_jaeger() -> None:
    """Attributes are in logfmt, where other values than plain words are quoted."""
    search = Jaeger().with_span("token.verify", ATTRIBUTES)

    assert isinstance(search, JaegerQuery)
    assert (search.service, search.operation) == ("$service", "token.verify")
    assert search.tags == 'heliograph.token.result=expired note="with \\"quotes\\""'


def test_value_of_two_words_is_quoted() -> None:
    """A space ends a value in logfmt."""
    assert tags(Jaeger().with_span("token.verify", {"note": "two words"})) == 'note="two words"'


def test_event_in_jaeger() -> None:
    """Jaeger cannot search for the name of a span event: it is an attribute, too."""
    search = Jaeger().with_event("shop.order_placed")

    assert isinstance(search, JaegerQuery)
    assert (search.operation, search.tags) == (None, "otel.event.name=shop.order_placed")


def test_span_in_tempo() -> None:
    """All conditions are about one span of the chosen service."""
    assert traceql(Tempo().with_span("token.verify", ATTRIBUTES)) == (
        '{ resource.service.name = "$service" && name = "token.verify" && span.heliograph.token.result = "expired" '
        '&& span.note = "with \\"quotes\\"" }'
    )


def test_event_in_tempo() -> None:
    """TraceQL has the name of a span event."""
    assert traceql(Tempo().with_event("shop.order_placed")) == (
        '{ resource.service.name = "$service" && event:name = "shop.order_placed" }'
    )


def test_search_without_attributes() -> None:
    """The name of the span is enough."""
    assert tags(Jaeger().with_span("token.verify", {})) == ""
    assert traceql(Tempo().with_span("token.verify", {})) == (
        '{ resource.service.name = "$service" && name = "token.verify" }'
    )
