"""`assert_conforms` finds the events of a plugin that are not what its classes declare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from heliograph import Event, Host, Settings
from heliograph.testing import assert_conforms, capture
from heliograph.testing.conformance import problems_of
from recorder import SECRET


@dataclass
class OrderEvent(Event):
    name = "order"
    number: int
    note: dict | None = None


@dataclass
class RefundEvent(Event):
    name = "refund"


@dataclass
class SpecialRefundEvent(RefundEvent):
    """Nobody registers it."""


@dataclass
class UnregisteredEvent(Event):
    name = "unregistered"


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(Settings(secret=(SECRET,)), events=[OrderEvent, RefundEvent]) as host:
        yield host


def problems(host: Host, workload, **kwargs) -> list[str]:
    with pytest.raises(AssertionError) as error:
        assert_conforms(host, workload, **kwargs)
    first, *lines = str(error.value).splitlines()
    assert first == "the workload does not conform:"
    return [line.strip() for line in lines]


def test_workload_that_conforms(host: Host) -> None:
    """The events and tokens of the workload are returned."""

    def workload() -> None:
        host.track(OrderEvent(number=1))
        host.track(RefundEvent())
        host.call(host.create_token, "root")

    captured = assert_conforms(host, workload, forbidden=["secret"])

    assert len(captured.of(OrderEvent)) == 1
    assert [each.name for each in captured.tokens] == ["token.create"]


def test_async_workloads(host: Host) -> None:
    """An async function, and a function that returns something to await, run on the host's loop."""

    async def workload() -> None:
        await host.track_event(OrderEvent(number=1))

    assert assert_conforms(host, workload, unused=[RefundEvent]).of(OrderEvent)

    def deferred() -> object:
        return workload()

    assert assert_conforms(host, deferred, unused=[RefundEvent]).of(OrderEvent)


def test_every_problem_is_listed(host: Host) -> None:
    """Registered and never emitted, emitted and not registered, violations, and values that must not be exported."""

    def workload() -> None:
        host.track(OrderEvent(number="one", note={"swordfish": 1}))
        host.track(OrderEvent(number=1, note={"text": "dstok_abc"}))
        host.track(OrderEvent(number=1, actor={"id": "swordfish"}))

    assert problems(host, workload, forbidden=["swordfish"]) == [
        "app.order: datatype-mismatch: number",
        f"registered and never emitted: {__name__}.RefundEvent",
        "forbidden value 'swordfish' in the attribute app.order.note.swordfish of app.order",
        "forbidden value 'dstok_' in the attribute app.order.note.text of app.order",
        "forbidden value 'swordfish' in the attribute user.id of app.order",
    ]


def test_forbidden_value_in_a_body() -> None:
    """The body is made of values, too."""

    @dataclass
    class Greeting(Event, message="hello {who}"):
        name = "greeting"
        who: str

    with Host(Settings(secret=(SECRET,)), events=[Greeting]) as host, capture(host) as captured:
        host.track(Greeting(who="swordfish"))

    assert [each for each in problems_of(captured, forbidden=["swordfish"]) if "body" in each] == [
        "forbidden value 'swordfish' in the body of app.greeting"
    ]


def test_subclass_that_is_not_registered(host: Host) -> None:
    """A subclass has the schema of its ancestor, and no contract of its own."""
    found = problems(host, lambda: host.track(SpecialRefundEvent()), unused=[OrderEvent, RefundEvent])

    assert found == [f"emitted and not registered: {__name__}.SpecialRefundEvent"]


def test_class_without_a_registered_ancestor(host: Host) -> None:
    """`track` raises an error for such an event, which ends the workload."""
    found = problems(host, lambda: host.track(UnregisteredEvent()), unused=[OrderEvent, RefundEvent])

    assert found == [f"emitted and not registered: {__name__}.UnregisteredEvent; the workload ended there"]


def test_events_of_all_hosts_cannot_be_checked() -> None:
    """A capture of all hosts does not know which classes are registered."""
    with capture() as captured:
        pass
    with pytest.raises(TypeError, match=r"write capture\(host\)"):
        list(problems_of(captured))
