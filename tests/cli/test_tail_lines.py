"""The lines that `heliograph tail` prints."""

from __future__ import annotations

import json

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from heliograph.cli.tail_lines import json_line, text_line
from heliograph.receiver.arrivals import arrivals
from receiver.requests import TRACE, log_request, span_request
from schema.export.pages import UNPRINTABLE


def test_line_of_an_event() -> None:
    """Time, name, actor, body, trace and token, in columns."""
    [event] = arrivals(
        log_request("app.ban_user", trace=TRACE, body="root banned", user__id="root", heliograph__token__id="t1")
    )

    assert click.unstyle(text_line(event)) == (
        f"12:00:00.000  app.ban_user              root        root banned  trace {TRACE.hex()}  token t1"
    )


def test_line_of_an_operation_on_a_token() -> None:
    """The result is in place of the body."""
    [span] = arrivals(span_request("token.verify", heliograph__token__result="expired"))

    assert click.unstyle(text_line(span)) == (
        f"12:00:00.000  token.verify              –           expired  trace {TRACE.hex()}"
    )


def test_colours_tell_events_from_spans() -> None:
    """On a terminal, events are cyan and spans are yellow."""
    [event] = arrivals(log_request("app.one"))
    [span] = arrivals(span_request("token.verify"))

    assert "\x1b[36m" in text_line(event)
    assert "\x1b[33m" in text_line(span)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.just(UNPRINTABLE.encode(errors="ignore").decode())
)
def test_no_character_that_a_terminal_obeys(text: str) -> None:
    """Every text comes from a sender. A line stays one line, and JSON can be read back."""
    [event] = arrivals(log_request(text or "x", body=text, user__id=text, heliograph__token__id=text, more=text))

    assert click.unstyle(text_line(event)).isprintable()
    line = json_line(event)
    assert line.isprintable()
    assert line.isascii()
    assert json.loads(line)["attributes"]["more"] == text


def test_times_beyond_those_of_python() -> None:
    """A time that Python cannot express is shown as the latest one that it can."""
    request = log_request("app.one")
    request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano = 2**64 - 1
    [event] = arrivals(request)

    assert text_line(event)
    assert json.loads(json_line(event))["time"].startswith("2262-04-11T")


def test_odd_values_have_lines() -> None:
    """JSON has no NaN, and an id of a trace may have any length."""
    request = log_request("app.one", trace=b"\xff" * 10_000)
    [record] = request.resource_logs[0].scope_logs[0].log_records
    record.attributes.append(KeyValue(key="ratio", value=AnyValue(double_value=float("nan"))))
    [event] = arrivals(request)

    assert len(click.unstyle(text_line(event))) < 400
    assert json.loads(json_line(event), parse_constant=pytest.fail)["attributes"] == {"ratio": None}
