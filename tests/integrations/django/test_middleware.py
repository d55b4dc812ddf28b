"""The middleware for Django finds the user, and the request is what it would be without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import opentelemetry.trace
import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.test import AsyncClient, Client, override_settings
from opentelemetry.trace import SpanKind, StatusCode

from heliograph import ambient_actor
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from integrations.django import project
from recorder import Telemetry

pytestmark = pytest.mark.usefixtures("database")

SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


@pytest.fixture(autouse=True)
def new_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test sees the first warning of its kind, and no views of another test."""
    monkeypatch.setattr(ambient_actor, "failures", LimitedLog(SafeLogger("heliograph")))
    monkeypatch.setattr("heliograph.integrations.django.user.failures", LimitedLog(SafeLogger("heliograph")))
    project.SEEN.clear()
    yield
    assert ambient_actor.current_actor() is None


def get(path: str, cookie: str | None = None, *, asgi: bool = False) -> tuple[Any, bytes]:
    """Make a request in the process, and return the response and its content."""
    client = AsyncClient() if asgi else Client()
    if cookie is not None:
        client.cookies["sessionid"] = cookie
    if not asgi:
        response = client.get(path)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        response.close()
        return response, content

    async def request() -> tuple[Any, bytes]:
        response = await client.get(path)
        if not response.streaming:
            return response, response.content
        return response, b"".join([part async for part in response.streaming_content])

    return asyncio.run(request())


def session_of(user: User) -> str:
    """Return the key of a new session."""
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


ASGI = pytest.mark.parametrize("asgi", [False, True], ids=["WSGI", "ASGI"])


@pytest.mark.parametrize(
    ("path", "asgi"),
    [("/sync", False), ("/async", False), ("/stream", False), ("/sync", True), ("/async", True), ("/astream", True)],
)
def test_user_of_the_session_is_the_actor(user: User, path: str, *, asgi: bool) -> None:
    """Each kind of view, and each step of a stream, has the actor. Without a session, nobody is."""
    get(path, session_of(user), asgi=asgi)
    assert project.SEEN
    assert {str(actor) for actor in project.SEEN} == {str({"id": str(user.pk)})}
    project.SEEN.clear()
    get(path, asgi=asgi)
    assert set(project.SEEN) == {None}


@pytest.mark.parametrize(
    "chain",
    [
        [project.SYNC_ONLY, *project.AUTHENTICATION, project.OURS],
        [*project.AUTHENTICATION, project.SYNC_ONLY, project.OURS],
        [*project.AUTHENTICATION, project.OURS, project.SYNC_ONLY],
        [project.ASYNC_ONLY, *project.AUTHENTICATION, project.OURS],
        [*project.AUTHENTICATION, project.OURS, project.ASYNC_ONLY],
        [project.SYNC_ONLY, *project.AUTHENTICATION, project.ASYNC_ONLY, project.OURS, project.SYNC_ONLY],
    ],
)
@pytest.mark.parametrize(
    ("path", "asgi"),
    [("/sync", False), ("/async", False), ("/stream", False), ("/sync", True), ("/async", True), ("/astream", True)],
)
def test_middleware_that_is_only_sync_or_only_async(user: User, chain: list[str], path: str, *, asgi: bool) -> None:
    """Django moves the request between threads and loops. The actor goes with it."""
    with override_settings(MIDDLEWARE=chain):
        get(path, session_of(user), asgi=asgi)
    assert {str(actor) for actor in project.SEEN} == {str({"id": str(user.pk)})}


@ASGI
def test_set_actor_wins(user: User, *, asgi: bool) -> None:
    """Code that says who acts is right."""
    get("/set", session_of(user), asgi=asgi)
    assert project.SEEN == [{"id": "set"}]


@ASGI
@pytest.mark.parametrize("path", ["/sync", "/async", "/silent", "/user", "/auser"])
@pytest.mark.parametrize("engine", ["django.contrib.sessions.backends.db", SIGNED_COOKIES])
@pytest.mark.parametrize("cookie", [None, "unreadable", "x" * 32, "valid", "deleted user", "other password"])
def test_request_is_what_it_would_be_without_us(
    user: User, path: str, engine: str, cookie: str | None, *, asgi: bool
) -> None:
    """The status, content, cookies and `Vary` are the same, for good and for bad sessions."""
    with override_settings(SESSION_ENGINE=engine):
        answers = []
        for middleware in (project.AUTHENTICATION, [*project.AUTHENTICATION, project.OURS]):
            owner = User.objects.create_user("owner")
            key = session_of(owner) if cookie in {"valid", "deleted user", "other password"} else cookie
            if cookie == "deleted user":
                owner.delete()
            if cookie == "other password":
                owner.set_password("other")
                owner.save()
            with override_settings(MIDDLEWARE=middleware):
                response, content = get(path, key, asgi=asgi)
            # The value of a signed cookie has the time.
            cookies = {name: bool(morsel.value) for name, morsel in response.cookies.items()}
            answers.append((response.status_code, response.get("Vary"), cookies, content == str(owner.pk).encode()))
            User.objects.filter(username="owner").delete()
    assert answers[0] == answers[1]
    assert all(actor is None or cookie == "valid" for actor in project.SEEN)


@ASGI
@pytest.mark.parametrize("path", ["/sync", "/async", "/silent"])
def test_store_of_sessions_that_fails(
    monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture, path: str, *, asgi: bool
) -> None:
    """The request goes on, without an actor. One warning says it."""

    def fail(*_: object) -> None:
        raise OperationalError("the database is down")

    async def afail(*_: object) -> None:
        fail()

    monkeypatch.setattr(SessionStore, "load", fail)
    monkeypatch.setattr(SessionStore, "aload", afail)
    for view in ("/user", "/auser"):  # a view that needs the session fails by itself, as it does without us
        with pytest.raises(OperationalError):
            get(view, "x" * 32, asgi=asgi)
    monkeypatch.setattr("heliograph.integrations.django.user.failures", LimitedLog(SafeLogger("heliograph")))
    warnings.clear()
    for _ in range(2):
        response, _ = get(path, "x" * 32, asgi=asgi)
        assert (response.status_code, response.get("Vary"), dict(response.cookies)) == (200, None, {})
    assert set(project.SEEN) <= {None}
    assert len([each for each in warnings.records if each.name == "heliograph"]) == (asgi or path != "/silent")


def test_session_with_a_new_key_is_saved(user: User) -> None:
    """When the secret of the site changes, Django gives the session a new key, which the response has to tell."""
    key = session_of(user)
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["secret"]):
        response, _ = get("/sync", key)
        assert [{"id": str(user.pk)}] == project.SEEN
        assert response.cookies["sessionid"].value != key
        assert SessionStore(response.cookies["sessionid"].value)[SESSION_KEY] == str(user.pk)


@pytest.fixture
def with_spans(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    """Telemetry in memory, and middleware that gives requests spans."""
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", telemetry.tracer_provider)
    with override_settings(MIDDLEWARE=[*project.AUTHENTICATION, f"{project.__name__}.MiddlewareWithSpans"]):
        yield telemetry


@pytest.mark.parametrize(
    ("path", "asgi"),
    [("/sync", False), ("/async", False), ("/stream", False), ("/sync", True), ("/async", True), ("/astream", True)],
)
def test_request_has_a_span(with_spans: Telemetry, path: str, *, asgi: bool) -> None:
    """The span ends when the content was read."""
    get(path, asgi=asgi)
    [span] = with_spans.spans
    assert (span.name, span.kind, span.parent) == (f"GET {path}", SpanKind.SERVER, None)
    assert (span.attributes or {})["url.scheme"] == "http"
    assert span.status.status_code is StatusCode.UNSET


def test_request_that_fails_has_a_span(with_spans: Telemetry) -> None:
    """Django makes a response of an exception in a view. One in a stream ends the response."""
    client = Client(raise_request_exception=False)
    assert client.get("/fail").status_code == 500
    streamed = client.get("/failing-stream")
    with pytest.raises(LookupError):
        list(streamed.streaming_content)
    streamed.close()
    assert [(span.attributes or {})["error.type"] for span in with_spans.spans] == ["500", "LookupError"]
    assert "a secret" not in with_spans.everything()


@pytest.mark.parametrize(("path", "error_type"), [("/interrupted", None), ("/failing-stream", "LookupError")])
def test_exception_passes_a_request_with_and_without_a_span(
    with_spans: Telemetry, path: str, error_type: str | None
) -> None:
    """Django lets an exit of the program pass, which is no error, and the exception of a stream."""

    def read() -> None:
        list(Client().get(path).streaming_content)

    with pytest.raises((SystemExit, LookupError)):
        read()
    with (
        override_settings(MIDDLEWARE=[*project.AUTHENTICATION, project.OURS]),
        pytest.raises((SystemExit, LookupError)),
    ):
        read()
    [span] = with_spans.spans
    assert (span.attributes or {}).get("error.type") == error_type


def test_no_span_of_django_where_one_records(with_spans: Telemetry) -> None:
    """The span of an instrumentation stays the only one."""
    with with_spans.tracer.start_as_current_span("of an instrumentation"):
        get("/stream")
    assert [span.name for span in with_spans.spans] == ["of an instrumentation"]
