"""`capture` collects the events and token operations of a block, without any provider."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry import _logs, trace

from heliograph import Attribute, Deprecated, Event, Host, Privacy, Settings, TokenInvalid, acting_as, hookimpl
from heliograph.testing import capture
from recorder import SECRET, Telemetry
from threads import LIMIT_SECONDS, join


@dataclass
class BanUserEvent(Event, version="2", message="{username} was banned"):
    """An event with a private field."""

    name = "ban-user"
    username: str
    password: Annotated[str, Attribute(privacy=Privacy.MASK)] = ""


@dataclass
class OtherEvent(Event):
    name = "other"


@pytest.fixture
def host() -> Iterator[Host]:
    """A host without providers."""
    with Host(Settings(secret=(SECRET,)), events=[BanUserEvent, OtherEvent]) as host:
        yield host


def test_events_are_typed_objects_with_their_attributes(host: Host) -> None:
    """An event has the object that was tracked, and what is emitted of it, private values masked."""
    event = BanUserEvent(username="cleverbot", password="x", actor={"id": "root"})
    with capture(host) as captured:
        host.track(event)

    (tracked,) = captured.events
    assert tracked.event is event
    assert tracked.event_name == "app.ban_user"
    assert tracked.body == "cleverbot was banned"
    assert tracked.attributes == {
        "app.ban_user.username": "cleverbot",
        "app.ban_user.password": "<masked>",
        "user.id": "root",
        "heliograph.event.version": "2",
        "log.record.uid": "00000000-0000-7000-8000-000000000001",
    }
    assert (tracked.trace_id, tracked.violations, tracked.is_in_quarantine) == (0, (), False)


def test_event_with_two_names_is_there_once(telemetry: Telemetry) -> None:
    """An event that is emitted under both names is captured by the name of its class."""

    @dataclass
    class Renamed(Event, deprecated=Deprecated(renamed_to="app.block_user", emit_both=True)):
        name = "renamed"

    with telemetry.host(events=[Renamed]) as host, capture(host) as captured:
        host.track(Renamed())

    assert [event.event_name for event in captured.events] == ["app.renamed"]
    assert [name for name, _ in telemetry.events] == ["app.renamed", "app.block_user"]


def test_ids_and_times_are_the_same_in_each_run(host: Host) -> None:
    """The first event is at the start of 2026, and each later one a millisecond later."""
    with capture(host) as captured:
        host.track(OtherEvent())
        host.track(OtherEvent())

    assert [(each.uid[-2:], each.time_unix_nano) for each in captured.events] == [
        ("01", 1_767_225_600_000_000_000),
        ("02", 1_767_225_600_001_000_000),
    ]


def test_providers_get_the_same_as_without_a_capture(telemetry: Telemetry) -> None:
    """The log record keeps its own id and time."""
    event = OtherEvent()
    with telemetry.host(settings=Settings(secret=(SECRET,)), events=[OtherEvent]) as host, capture(host) as captured:
        host.track(event)

    record = telemetry.logs[0].log_record
    assert record.timestamp == int(event.created.timestamp()) * 10**9 + event.created.microsecond * 1000
    assert record.attributes["log.record.uid"] != captured.events[0].uid  # type: ignore[index]


def test_event_has_the_span_around_it(telemetry: Telemetry) -> None:
    """The ids of the current span are those of the event."""
    with telemetry.host(events=[OtherEvent]) as host, capture(host) as captured:
        with telemetry.tracer.start_as_current_span("request") as span:
            host.track(OtherEvent())

    context = span.get_span_context()
    assert (captured.events[0].trace_id, captured.events[0].span_id) == (context.trace_id, context.span_id)


def test_block_without_providers_is_quiet(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """No warning says that a provider is missing, nothing counts as lost, and OpenTelemetry's globals stay unset."""
    before = (trace.get_tracer_provider(), _logs.get_logger_provider())
    with capture(host):
        host.track(OtherEvent())
        assert host.flush()

    assert not caplog.records
    assert (trace.get_tracer_provider(), _logs.get_logger_provider()) == before


def test_event_with_violations(host: Host, tmp_path) -> None:
    """An invalid event has its violations, and says if it went into the quarantine."""
    settings = Settings(secret=(SECRET,), validation="quarantine", quarantine=tmp_path / "q.db")
    strict = Host(settings, events=[BanUserEvent])
    with capture(host) as emitted, capture(strict) as kept:
        host.track(BanUserEvent(username=1))
        strict.track(BanUserEvent(username=1))

    assert [str(each) for each in emitted.events[0].violations] == ["datatype-mismatch: username"]
    assert not emitted.events[0].is_in_quarantine
    assert kept.events[0].violations == emitted.events[0].violations
    assert kept.events[0].is_in_quarantine


def test_token_operations_are_captured(host: Host) -> None:
    """Each creation and verification is there with its result; no token is."""
    with capture(host) as captured:
        token = host.call(host.create_token, "root")
        host.verify(token)
        with pytest.raises(TokenInvalid):
            host.verify(token + "x")

    assert [(each.name, each.result, each.handler) for each in captured.tokens] == [
        ("token.create", "created", "signed"),
        ("token.verify", "valid", "signed"),
        ("token.verify", "invalid", "signed"),
    ]
    assert captured.tokens[0].attributes["user.id"] == "root"
    assert captured.tokens[1].token_id == captured.tokens[0].token_id
    assert token not in str(captured.tokens)


def test_assert_tracked_returns_the_event(host: Host) -> None:
    """The first event whose fields have the values is returned; a subclass is one of its class."""
    with capture(host) as captured:
        host.track(BanUserEvent(username="a"))
        host.track(BanUserEvent(username="b", actor={"id": "root"}))

    assert captured.assert_tracked(Event).event.username == "a"
    assert captured.assert_tracked(BanUserEvent, username="b", actor={"id": "root"}).event.username == "b"
    assert [each.username for each in captured.of(BanUserEvent)] == ["a", "b"]
    captured.assert_not_tracked(BanUserEvent, username="c")
    captured.assert_not_tracked(OtherEvent)


def test_message_of_a_failed_assertion_lists_the_events(host: Host) -> None:
    """The message says what was looked for, and what there is."""
    with capture(host) as captured:
        with pytest.raises(AssertionError, match=r"no event OtherEvent\(\) was tracked; no event was tracked at all"):
            captured.assert_tracked(OtherEvent)
        for number in range(22):
            host.track(BanUserEvent(username=f"user {number}"))

    with pytest.raises(AssertionError) as error:
        captured.assert_tracked(BanUserEvent, username="cleverbot")
    first, *lines = str(error.value).splitlines()
    assert first == "no event BanUserEvent(username='cleverbot') was tracked:"
    assert lines[0] == "  … and 2 earlier ones"
    assert len(lines) == 21
    assert "username='user 21'" in lines[-1]
    with pytest.raises(AssertionError, match=r"an event BanUserEvent\(username='user 3'\) was tracked"):
        captured.assert_not_tracked(BanUserEvent, username="user 3")


@pytest.mark.parametrize("value", ["ban-user", None, 1, BanUserEvent(username="alice")])
def test_event_class_that_is_none_is_an_error(host: Host, value: Any) -> None:
    """The message names the argument, also if no event was tracked."""
    with capture(host) as captured:
        pass
    for method in (captured.assert_tracked, captured.assert_not_tracked, captured.of):
        with pytest.raises(TypeError, match="the argument `event_class` must be an event class, such as"):
            method(value)


def test_unknown_field_is_an_error_that_lists_the_fields(host: Host) -> None:
    """A misspelt field must not make `assert_not_tracked` succeed."""
    with capture(host) as captured:
        pass
    with pytest.raises(TypeError, match=r"BanUserEvent has no field 'user'; its fields are: .*username"):
        captured.assert_not_tracked(BanUserEvent, user="x")


def test_field_of_a_class_that_is_no_dataclass(host: Host) -> None:
    """Nothing is known about the fields of such a class; an object without the field does not match."""
    with capture(host) as captured:
        host.track(BanUserEvent(username="a"))

    captured.assert_not_tracked(object, unknown=1)


def test_one_host_of_several(host: Host) -> None:
    """With a host, the events of others are not captured; without one, all are."""
    other = Host(Settings(secret=(SECRET,)), events=[OtherEvent])
    with capture(host) as one, capture() as every:
        host.track(OtherEvent())
        other.track(OtherEvent())

    assert (len(one.events), len(every.events)) == (1, 2)


def test_nothing_is_captured_after_the_block(host: Host) -> None:
    """The events of the block stay, and no more come."""
    with capture(host) as captured:
        host.track(OtherEvent())
    host.track(OtherEvent())

    assert len(captured.events) == 1


def test_parallel_tests_with_one_host_have_their_own_events(host: Host) -> None:
    """Threads that capture at the same time see their own events alone."""
    barrier = threading.Barrier(4, timeout=LIMIT_SECONDS)

    def test(number: int) -> list[str]:
        with capture(host) as captured:
            barrier.wait(60)
            for _ in range(50):
                host.track(BanUserEvent(username=str(number)))
            barrier.wait(60)
        return [each.username for each in captured.of(BanUserEvent)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(test, range(4)))

    assert found == [[str(number)] * 50 for number in range(4)]


def test_thread_without_a_capture_belongs_to_all(host: Host) -> None:
    """The thread of a server has a context of its own, and its events are the test's."""
    with capture(host) as captured:
        thread = threading.Thread(target=host.track, args=[OtherEvent()])
        thread.start()
        join(thread)

    assert len(captured.events) == 1


def test_context_of_a_capture_that_has_ended_belongs_to_all(host: Host) -> None:
    """A task that outlives the test that started it is like any other context."""
    with capture(host):
        context = contextvars.copy_context()
    with capture(host) as captured:
        context.run(host.track, OtherEvent())

    assert len(captured.events) == 1


def test_block_that_ends_in_another_context(host: Host) -> None:
    """A fixture may be ended in another context than the one it began in."""
    block = capture(host)

    async def main() -> None:
        captured = block.__enter__()
        host.track(OtherEvent())
        assert len(captured.events) == 1

    anyio.run(main)
    block.__exit__(None, None, None)
    with capture(host) as captured:
        host.track(OtherEvent())
    assert len(captured.events) == 1


def test_application_in_a_test_client() -> None:
    """The events of an application are captured, wherever its test client runs it."""
    host, app = Host(Settings(secret=(SECRET,)), events=[BanUserEvent]), FastAPI()

    @app.post("/in-a-thread")
    def in_a_thread() -> None:
        host.track(BanUserEvent(username="a"))

    @app.post("/on-the-loop")
    async def on_the_loop() -> None:
        with acting_as({"id": "root"}):
            await host.track_event(BanUserEvent(username="b"))

    with host, capture(host) as captured, TestClient(app) as client:
        client.post("/in-a-thread")
        client.post("/on-the-loop")

    captured.assert_tracked(BanUserEvent, username="a", actor=None)
    captured.assert_tracked(BanUserEvent, username="b", actor={"id": "root"})


def test_something_else_is_an_error() -> None:
    """The message says what is needed. It comes at once, and not with the first event, which would not be emitted then."""
    with pytest.raises(TypeError, match=r"a heliograph.Host or a Datasette is needed, not .*\.BanUserEvent"):
        with capture(BanUserEvent):
            pass


def test_plugin_is_removed_and_its_classes_stay(host: Host) -> None:
    """`Host.unregister` ends the calls of a plugin's hooks."""
    seen = []

    class Plugin:
        @hookimpl
        def track_event(self, event):
            seen.append(event)

    plugin = Plugin()
    host.register(plugin)
    with capture(host):
        host.track(OtherEvent())
        host.unregister(plugin)
        host.track(OtherEvent())

    assert len(seen) == 1
