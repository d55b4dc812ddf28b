"""An event that names no actor is that of the request in which it is made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from datasette import Response

from heliograph import Event, acting_as, current_actor, hookimpl

pytestmark = pytest.mark.anyio


@dataclass
class VisitEvent(Event):
    name = "visit"
    page: str


AT_THE_SAME_TIME = 8


class Visits:
    """A plugin whose pages track an event, and name no actor."""

    def __init__(self) -> None:
        self.inside = 0
        self.all_are_inside = asyncio.Event()
        self.later: list[asyncio.Task[None]] = []

    @hookimpl
    def register_events(self):
        return [VisitEvent]

    @hookimpl
    def register_routes(self):
        async def visit(datasette, request):
            await datasette.track_event(VisitEvent(page=request.url_vars["page"]))
            return Response.json(current_actor())

        async def nested(datasette):
            before = VisitEvent(page="before")
            await datasette.client.get("/visit/inside", actor={"id": "bob"})
            await datasette.client.get("/visit/nobody")
            for event in (before, VisitEvent(page="after")):
                await datasette.track_event(event)
            return Response.json({})

        async def together(datasette, request):
            self.inside += 1
            if self.inside == AT_THE_SAME_TIME:
                self.all_are_inside.set()
            await self.all_are_inside.wait()
            await datasette.track_event(VisitEvent(page=request.url_vars["page"]))
            return Response.json(current_actor())

        async def later(datasette):
            async def track():
                await asyncio.sleep(0)
                await datasette.track_event(VisitEvent(page="later"))

            self.later.append(asyncio.create_task(track()))
            return Response.json({})

        async def thread(datasette):
            await datasette.track_event(await asyncio.to_thread(VisitEvent, page="thread"))
            return Response.json({})

        async def fail():
            raise RuntimeError("this page fails")

        return [
            (r"^/visit/(?P<page>\w+)$", visit),
            (r"^/nested$", nested),
            (r"^/together/(?P<page>\w+)$", together),
            (r"^/later$", later),
            (r"^/thread$", thread),
            (r"^/fail$", fail),
        ]


@pytest.fixture
async def visits(instances, telemetry):
    """The pages, on a Datasette."""
    plugin = Visits()
    return plugin, await instances(plugin, secret="secret")


def actors(telemetry) -> list[tuple[str, str | None]]:
    """The page and the actor of each event, in order."""
    return [(attributes["app.visit.page"], attributes.get("user.id")) for _, attributes in telemetry.events]


async def test_it_is_the_actor_of_the_cookie(visits, telemetry) -> None:
    """Whoever is logged in is the actor, on the event and for `current_actor()`."""
    _, instance = visits

    answer = await instance.client.get("/visit/home", actor={"id": "alice", "name": "Alice"})

    assert answer.json() == {"id": "alice", "name": "Alice"}
    assert telemetry.events == [
        ("app.visit", {"app.visit.page": "home", "user.id": "alice", "user.name": "Alice"}),
    ]


async def test_it_is_the_actor_of_the_token(visits, telemetry) -> None:
    """Whoever a signed token stands for is the actor; what the actor knows of the token does not leave."""
    _, instance = visits
    token = await instance.create_token("alice", expires_after=60)

    await instance.client.get("/visit/home", headers={"Authorization": f"Bearer {token}"})

    assert telemetry.events == [("app.visit", {"app.visit.page": "home", "user.id": "alice"})]


async def test_it_is_nobody_where_nobody_is_logged_in(visits, telemetry) -> None:
    """A request without an actor makes events without one, also after one that had one."""
    _, instance = visits

    await instance.client.get("/visit/home", actor={"id": "alice"})
    await instance.client.get("/visit/home")

    assert actors(telemetry) == [("home", "alice"), ("home", None)]
    assert current_actor() is None


async def test_nested_requests_have_their_own(visits, telemetry) -> None:
    """A request of `datasette.client` inside a request has its own actor, or none, and leaves the outer one alone."""
    _, instance = visits

    await instance.client.get("/nested", actor={"id": "alice"})

    assert actors(telemetry) == [("inside", "bob"), ("nobody", None), ("before", "alice"), ("after", "alice")]


async def test_requests_at_the_same_time_do_not_mix(visits, telemetry) -> None:
    """Eight requests that are all in the middle of their view each have their own actor."""
    _, instance = visits
    names = [f"user{n}" for n in range(AT_THE_SAME_TIME)]

    answers = await asyncio.gather(*(instance.client.get(f"/together/{name}", actor={"id": name}) for name in names))

    assert [answer.json()["id"] for answer in answers] == names
    assert sorted(actors(telemetry)) == [(name, name) for name in names]


async def test_a_task_that_outlives_the_request_keeps_it(visits, telemetry) -> None:
    """What a view starts in the background was begun by the request's actor."""
    plugin, instance = visits

    await instance.client.get("/later", actor={"id": "alice"})
    await asyncio.gather(*plugin.later)

    assert actors(telemetry) == [("later", "alice")]


async def test_a_thread_with_the_context_has_it(visits, telemetry) -> None:
    """`asyncio.to_thread` takes the actor along."""
    _, instance = visits

    await instance.client.get("/thread", actor={"id": "alice"})

    assert actors(telemetry) == [("thread", "alice")]


async def test_a_request_that_fails_leaves_none_behind(visits) -> None:
    """After a view that raised, nobody is the ambient actor."""
    _, instance = visits

    answer = await instance.client.get("/fail", actor={"id": "alice"})

    assert answer.status_code == 500
    assert current_actor() is None


async def test_it_wins_over_that_of_the_program_around(visits, telemetry) -> None:
    """A request without an actor is nobody's, also inside `acting_as`: the request decides."""
    _, instance = visits

    with acting_as({"id": "the program"}):
        await instance.client.get("/visit/home")
        await instance.client.get("/visit/home", actor={"id": "alice"})

    assert actors(telemetry) == [("home", None), ("home", "alice")]


async def test_it_is_the_one_that_another_plugin_finds(instances, telemetry) -> None:
    """The actor of another plugin's `actor_from_request` counts, though it runs after ours; async, too."""

    class Authenticator:
        @hookimpl
        def actor_from_request(self, request):
            async def inner():
                return {"id": request.headers["x-user"]}

            return inner

    instance = await instances(Visits(), Authenticator())

    await instance.client.get("/visit/home", headers={"x-user": "carol"})

    assert actors(telemetry) == [("home", "carol")]
