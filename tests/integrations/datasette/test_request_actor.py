"""An event that names no actor has the actor of the request in which it is created."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx
import pytest
from datasette import Request, Response

from arrived import credential
from heliograph import Event, acting_as, current_actor, hookimpl
from heliograph.integrations.datasette.request_actor import keep_request, with_request_actor

pytestmark = pytest.mark.anyio


@dataclass
class VisitEvent(Event):
    name = "visit"
    page: str


AT_THE_SAME_TIME = 8


class Visits:
    """A plugin whose pages track events without naming an actor."""

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
    """The plugin, and a Datasette with its pages."""
    plugin = Visits()
    return plugin, await instances(plugin, secret="secret")


def actors(telemetry) -> list[tuple[str, str | None]]:
    """Return the page and the actor of each event, in order."""
    return [(attributes["app.visit.page"], attributes.get("user.id")) for _, attributes in telemetry.events]


async def test_actor_of_the_cookie(visits, telemetry) -> None:
    """The user who is logged in is the actor of the event, and `current_actor()` returns it."""
    _, instance = visits

    answer = await instance.client.get("/visit/home", actor={"id": "alice", "name": "Alice"})

    assert answer.json() == {"id": "alice", "name": "Alice"}
    assert telemetry.events == [
        ("app.visit", {"app.visit.page": "home", "user.id": "alice", "user.name": "Alice"}),
    ]


async def test_actor_of_the_token(visits, telemetry) -> None:
    """The user whom a signed token authenticates is the actor. Of the keys about the token, its id alone is exported."""
    _, instance = visits
    token = await instance.create_token("alice", expires_after=60)

    await instance.client.get("/visit/home", headers={"Authorization": f"Bearer {token}"})

    expected = {"app.visit.page": "home", "user.id": "alice", **credential(token)}
    assert telemetry.events[1:] == [("app.visit", expected)]


async def test_no_actor_if_nobody_is_logged_in(visits, telemetry) -> None:
    """Events of a request without an actor have none, also if an earlier request had one."""
    _, instance = visits

    await instance.client.get("/visit/home", actor={"id": "alice"})
    await instance.client.get("/visit/home")

    assert actors(telemetry) == [("home", "alice"), ("home", None)]
    assert current_actor() is None


async def test_nested_requests_have_their_own_actors(visits, telemetry) -> None:
    """A request of `datasette.client` inside a request has its own actor or none, and does not change the outer one."""
    _, instance = visits

    await instance.client.get("/nested", actor={"id": "alice"})

    assert actors(telemetry) == [("inside", "bob"), ("nobody", None), ("before", "alice"), ("after", "alice")]


async def test_requests_at_the_same_time_do_not_mix(visits, telemetry) -> None:
    """Eight requests whose views run at the same time each have their own actor."""
    _, instance = visits
    names = [f"user{n}" for n in range(AT_THE_SAME_TIME)]

    answers = await asyncio.gather(*(instance.client.get(f"/together/{name}", actor={"id": name}) for name in names))

    assert [answer.json()["id"] for answer in answers] == names
    assert sorted(actors(telemetry)) == [(name, name) for name in names]


async def test_task_that_outlives_its_request_keeps_the_actor(visits, telemetry) -> None:
    """A task that a view starts has the actor of the request."""
    plugin, instance = visits

    await instance.client.get("/later", actor={"id": "alice"})
    await asyncio.gather(*plugin.later)

    assert actors(telemetry) == [("later", "alice")]


async def test_thread_with_a_copy_of_the_context_has_the_actor(visits, telemetry) -> None:
    """`asyncio.to_thread` copies the context, and the actor with it."""
    _, instance = visits

    await instance.client.get("/thread", actor={"id": "alice"})

    assert actors(telemetry) == [("thread", "alice")]


async def test_request_that_fails_resets_the_ambient_actor(visits) -> None:
    """After a view that raised, there is no ambient actor."""
    _, instance = visits

    answer = await instance.client.get("/fail", actor={"id": "alice"})

    assert answer.status_code == 500
    assert current_actor() is None


async def test_request_replaces_the_actor_of_the_program(visits, telemetry) -> None:
    """Inside `acting_as`, the events of a request still have the actor of the request, or none."""
    _, instance = visits

    with acting_as({"id": "the program"}):
        await instance.client.get("/visit/home")
        await instance.client.get("/visit/home", actor={"id": "alice"})

    assert actors(telemetry) == [("home", None), ("home", "alice")]


async def test_actor_that_another_plugin_determines(instances, telemetry) -> None:
    """The actor that another plugin's async `actor_from_request` returns is used, although that hook is called after ours."""

    class Authenticator:
        @hookimpl
        def actor_from_request(self, request):
            async def inner():
                return {"id": request.headers["x-user"]}

            return inner

    instance = await instances(Visits(), Authenticator())

    await instance.client.get("/visit/home", headers={"x-user": "carol"})

    assert actors(telemetry) == [("home", "carol")]


async def test_scope_that_is_no_request_is_passed_on() -> None:
    """The start and the end of the server have one: nothing is added, and nobody is the actor."""
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append((scope, current_actor()))

    lifespan = {"type": "lifespan"}
    await with_request_actor(app)(lifespan, None, None)

    assert seen == [(lifespan, None)]


async def test_event_in_other_middleware_has_no_actor(warnings) -> None:
    """Datasette has not begun to determine the actor then, which is no failure of ours."""
    seen = []

    async def middleware(scope, receive, send) -> None:
        seen.append((VisitEvent(page="early").actor, current_actor()))

    with acting_as({"id": "the program"}):
        await with_request_actor(middleware)({"type": "http"}, None, None)

    assert seen == [(None, None)]
    assert warnings.text == ""


async def test_request_without_the_middleware_has_no_actor_to_fill() -> None:
    """Another plugin, or a test, may call the hook with a request of its own."""
    request = Request.fake("/")
    keep_request(request)

    assert "heliograph.request_actor" not in request.scope


async def test_event_shows_the_route_and_the_client_of_its_request(instances, telemetry) -> None:
    """A request of `datasette.client` has a route, and nobody at the other end."""
    config = {"plugins": {"heliograph": {"context": "http.route,user_agent.original"}}}
    instance = await instances(Visits(), secret="secret", config=config)
    headers = {"User-Agent": "a browser"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(instance.app()), base_url="http://a") as browser:
        for _ in range(2):
            await browser.get("/visit/home?a=b", headers=headers)
    await instance.client.get("/visit/home", headers=headers)

    route = {"http.route": r"^/visit/(?P<page>\w+)$"}
    [outside, again, inside] = [attributes for _, attributes in telemetry.events]
    assert outside == again == {"app.visit.page": "home", "user_agent.original": "a browser", **route}
    assert inside == {"app.visit.page": "home", **route}
