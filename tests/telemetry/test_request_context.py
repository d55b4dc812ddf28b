"""Events have the attributes of their request that the setting `HELIOGRAPH_CONTEXT` names, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from heliograph import Attribute, Event, Host, RequestActor, Settings, acting_as, default_actor, keep_context
from heliograph.errors import SettingsError
from heliograph.quarantine.store import Quarantine
from heliograph.semconv import REQUEST_ATTRIBUTES
from heliograph.telemetry.request_context import MAX_LENGTH, exported_value
from recorder import Telemetry
from registrar import Registrar

ALL = tuple(map(str, REQUEST_ATTRIBUTES))
VALUES = {
    "client.address": "192.0.2.1",
    "http.request.method": "POST",
    "http.route": "/orders/{id}",
    "url.path": "/orders/7",
    "user_agent.original": "curl/8",
}


class Request(RequestActor):
    """A request with these values."""

    def __init__(self, values: dict[str, Any] = VALUES) -> None:
        super().__init__()
        self._values = values

    def attribute(self, name: str) -> object:
        return self._values[name]


@dataclass
class OrderEvent(Event):
    name = "order"
    total: int


@dataclass
class VisitEvent(Event):
    """It has a path of its own."""

    name = "visit"
    path: Annotated[str | None, Attribute("url.path")]


def host_with(telemetry: Telemetry, **settings: Any) -> Host:
    return telemetry.host(Registrar(OrderEvent, VisitEvent), settings=Settings(**{"context": ALL, **settings}))


def found(telemetry: Telemetry) -> list[dict[str, Any]]:
    """Return the attributes of each event, without those of properties and of violations."""
    ours = ("app.", "heliograph.")
    return [
        {name: value for name, value in attributes.items() if not name.startswith(ours)}
        for _, attributes in telemetry.events
    ]


def test_nothing_is_exported_by_default(telemetry: Telemetry) -> None:
    """A program has to name the attributes of requests that it wants."""
    with telemetry.host(Registrar(OrderEvent, VisitEvent)) as host, acting_as(Request()):
        host.track(OrderEvent(total=1))
    assert found(telemetry) == [{}]


def test_log_records_and_span_events_have_the_attributes(telemetry: Telemetry) -> None:
    """The attributes of the request are beside those of the actor. An actor that the code names changes nothing about the request."""
    with host_with(telemetry) as host, acting_as(Request()), telemetry.tracer.start_as_current_span("s"):
        with acting_as({"id": "root"}):
            host.track(OrderEvent(total=1))
    assert found(telemetry) == [{**VALUES, "user.id": "root"}]
    [event] = telemetry.span_events
    assert VALUES.items() <= dict(event.attributes or {}).items()


def test_only_named_attributes_are_exported(telemetry: Telemetry) -> None:
    """`HELIOGRAPH_OPT_OUT` takes names away, with all below them."""
    with host_with(telemetry, context=("url.path", "client.address"), opt_out=("client",)) as host:
        with acting_as(Request()):
            host.track(OrderEvent(total=1))
    assert found(telemetry) == [{"url.path": "/orders/7"}]


def test_outside_of_requests_there_are_none(telemetry: Telemetry) -> None:
    """An event before or after a request, or in a block that has an actor and no request, has no such attributes."""
    with host_with(telemetry) as host:
        with acting_as(Request()):
            pass
        host.track(OrderEvent(total=1))
        with acting_as(RequestActor()):
            host.track(OrderEvent(total=1))
        with acting_as({"id": "root"}):
            host.track(OrderEvent(total=1))
    assert found(telemetry) == [{}, {}, {"user.id": "root"}]


def test_innermost_request_decides(telemetry: Telemetry) -> None:
    """The request is kept in a thread with a copy of the context. A block in a generator does not apply to the caller."""

    def rows() -> Iterator[int]:
        with acting_as(Request({**VALUES, "url.path": "/inner"})):
            yield 1
            host.track(OrderEvent(total=1))

    with host_with(telemetry, context=("url.path",)) as host, acting_as(Request()):
        for _ in rows():
            host.track(OrderEvent(total=1))
        later = keep_context(host.track)
    later(OrderEvent(total=1))
    assert [each["url.path"] for each in found(telemetry)] == ["/orders/7", "/inner", "/orders/7"]


def test_request_of_a_default_actor(telemetry: Telemetry) -> None:
    """A framework that keeps its current request elsewhere registers one object. A block without a request does not hide it."""
    remove = default_actor(Request())
    try:
        with host_with(telemetry, context=("url.path",)) as host:
            host.track(OrderEvent(total=1))
            with acting_as(None):
                host.track(OrderEvent(total=1))
            with acting_as(Request({"url.path": "/block"})):
                host.track(OrderEvent(total=1))
    finally:
        remove()
    assert [each["url.path"] for each in found(telemetry)] == ["/orders/7", "/orders/7", "/block"]


def test_attribute_of_a_class_means_its_own(telemetry: Telemetry) -> None:
    """The attribute of the request is not put in the place of an empty one."""
    with host_with(telemetry) as host, acting_as(Request()):
        host.track(VisitEvent(path="/own"))
        host.track(VisitEvent(path=None))
    rest = {name: value for name, value in VALUES.items() if name != "url.path"}
    assert found(telemetry) == [{"url.path": "/own", **rest}, rest]


def test_event_in_the_quarantine_keeps_them(telemetry: Telemetry, tmp_path: Path) -> None:
    """The attributes are those of the request that the event was tracked in, and are there when it is replayed elsewhere."""
    path = tmp_path / "aside.db"
    with host_with(telemetry, validation="quarantine", quarantine=path) as host:
        with acting_as(Request()):
            host.track(OrderEvent(total="one", actor={"id": "root"}))  # type: ignore[arg-type]
        assert telemetry.events == []
        [found] = Quarantine(path).find()
    assert found.record.actor == {"user.id": "root", **VALUES}


@pytest.mark.parametrize("value", [None, "", 7, b"bytes", ["list"], type("Text", (str,), {})("subclass")])
def test_values_that_are_no_text_are_not_exported(value: object) -> None:
    """No code of another class runs, not even that of a subclass of `str`."""
    assert exported_value("url.path", value) is None


@pytest.mark.parametrize(
    ("value", "exported"),
    [
        ("x" * 5000, "x" * MAX_LENGTH),
        ("/api/dstok_abc.def-ghi/rows", "/api/<masked>/rows"),
        ("/?hgtok_" + "A" * 61, "/?<masked>"),
        ("curl/8 dstok_abc next", "curl/8 <masked> next"),
        ("x" * (MAX_LENGTH - 8) + "hgtok_abcdef", "x" * (MAX_LENGTH - 8) + "<masked>"),
        ("/caf\udce9", "/caf\\udce9"),
    ],
)
def test_values_are_bounded_and_have_no_tokens(value: str, exported: str) -> None:
    """A client chooses the values, and may send anything."""
    assert exported_value("url.path", value) == exported


@pytest.mark.parametrize(("method", "exported"), [("GET", "GET"), ("get", "_OTHER"), ("X" * 9999, "_OTHER")])
def test_methods_are_a_closed_set(method: str, exported: str) -> None:
    """Any other method is `_OTHER`, as the semantic conventions say."""
    assert exported_value("http.request.method", method) == exported


def test_request_that_fails_costs_its_attributes_alone(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The others are exported, and one line names the class of the exception, without its text."""

    class Broken(Request):
        def attribute(self, name: str) -> object:
            if name == "url.path":
                raise LookupError("a secret")
            return super().attribute(name)

    with host_with(telemetry) as host, acting_as(Broken()):
        host.track(OrderEvent(total=1))
        host.track(OrderEvent(total=1))
    rest = {name: value for name, value in VALUES.items() if name != "url.path"}
    assert found(telemetry) == [rest, rest]
    assert [record.getMessage() for record in warnings.records] == [
        "The attribute url.path of a request cannot be read: builtins.LookupError"
    ]
    assert "a secret" not in warnings.text
    assert telemetry.counts("heliograph.emit.failures") == {("LookupError", "request"): 2}


def test_unknown_names_are_an_error() -> None:
    """The error lists the names that there are."""
    message = (
        r"HELIOGRAPH_CONTEXT: 'url\.query' must not contain 'url\.query'; the names are client\.address, http\.request"
    )
    with pytest.raises(SettingsError, match=message):
        Settings.from_env({"HELIOGRAPH_CONTEXT": "url.query"})
    assert Settings.from_env({"HELIOGRAPH_CONTEXT": "url.path, http.route"}).context == ("url.path", "http.route")
