"""The middleware for Django finds the user, and the request is what it would be without it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import opentelemetry.trace
import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.core import checks
from django.core.management import call_command
from django.db import OperationalError, connections
from django.http import FileResponse, HttpRequest
from django.test import AsyncClient, Client, override_settings
from django.utils.functional import SimpleLazyObject
from opentelemetry.trace import SpanKind, StatusCode

from heliograph import ambient_actor
from heliograph.integrations.django.streams import keep_request
from heliograph.integrations.django.user import CACHES, SESSION_CACHE, WRAPPED, ActorOfUser, actor_of_user
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from integrations.django import project
from recorder import Telemetry
from scripts import python

WITHOUT_USERS = """
import django
from django.conf import settings
from django.core.management import call_command

settings.configure(
    ROOT_URLCONF="__main__",
    INSTALLED_APPS=["heliograph.integrations.django"],
    MIDDLEWARE=["heliograph.integrations.django.HeliographMiddleware"],
)
urlpatterns = []
django.setup()
call_command("check", stdout=sys.stderr)
report(is_checked=True)
"""
SIGNED_COOKIES = "django.contrib.sessions.backends.signed_cookies"


@pytest.fixture(scope="module", autouse=True)
def database() -> Iterator[None]:
    """The tables."""
    call_command("migrate", verbosity=0)
    yield
    connections.close_all()


@pytest.fixture
def user() -> Iterator[User]:
    """A user who is deleted after the test."""
    user = User.objects.create_user("root")
    yield user
    User.objects.filter(username="root").delete()


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
    """In each kind of view, and in each step of a stream. Without a session, nobody is."""
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
    """Its status, content, cookies and `Vary` are the same, for good and for bad sessions."""
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


def test_private_names_are_those_of_this_version(user: User) -> None:
    """Django keeps what it found in the attributes that we know."""
    get_request = HttpRequest()
    get_request.session = SessionStore(session_of(user))
    from django.contrib.auth.middleware import AuthenticationMiddleware

    AuthenticationMiddleware(lambda _: None).process_request(get_request)
    lazy = vars(get_request)["user"]
    assert isinstance(lazy, SimpleLazyObject)
    assert not isinstance(copy.copy(lazy), User) or vars(lazy)[WRAPPED] is not None
    before = getattr(lazy, WRAPPED)
    assert lazy == user
    assert getattr(lazy, WRAPPED) is not before
    assert CACHES[0] in vars(get_request)
    assert asyncio.run(get_request.auser()) == user
    assert CACHES[1] in vars(get_request)
    assert SESSION_CACHE in vars(get_request.session)
    assert {"accessed", "modified"} <= set(vars(SessionBase()))


def test_user_that_was_replaced_or_found_is_not_looked_for() -> None:
    """Django REST Framework replaces the user. The caches of Django come next."""
    request = HttpRequest()
    actor = ActorOfUser(request, actor_of_user)
    assert actor() is None
    request._acached_user = User(pk=2)
    assert actor() == {"id": "2"}
    request.user = SimpleLazyObject(lambda: pytest.fail("was evaluated"))
    assert actor() == {"id": "2"}
    request.user = User(pk=1)
    assert actor() == {"id": "1"}
    request.user = AnonymousUser()
    assert actor() is None


def test_user_of_a_middleware_without_async_code() -> None:
    """It is evaluated in a thread. An event that the evaluation makes has no actor."""
    request = HttpRequest()
    actor = ActorOfUser(request, actor_of_user)
    inside: list[object] = []

    def find() -> User:
        inside.append(actor())
        return User(pk=3)

    request.user = SimpleLazyObject(find)
    asyncio.run(actor.evaluate_async())
    assert (actor(), inside) == ({"id": "3"}, [None])
    actor.evaluate()
    assert inside == [None]


def test_async_code_evaluates_nothing() -> None:
    """An event in async code asks no database, and a user who is known is not looked for."""
    request = HttpRequest()
    request.user = SimpleLazyObject(lambda: pytest.fail("was evaluated"))
    actor = ActorOfUser(request, actor_of_user)

    async def ask() -> list[object]:
        before = actor()
        request.user = User(pk=4)
        await actor.evaluate_async()
        return [before, actor()]

    assert asyncio.run(ask()) == [None, {"id": "4"}]


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
    """It ends when the content was read."""
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
    """That of an instrumentation stays the only one."""
    with with_spans.tracer.start_as_current_span("of an instrumentation"):
        get("/stream")
    assert [span.name for span in with_spans.spans] == ["of an instrumentation"]


def test_content_of_a_file_is_not_wrapped(tmp_path: Any) -> None:
    """A server may send it from the file."""
    (tmp_path / "file").write_text("content")
    response = FileResponse((tmp_path / "file").open("rb"))
    keep_request(response, lambda: None, None)
    assert response.file_to_stream is not None
    response.close()


@pytest.mark.parametrize(
    ("middleware", "errors"),
    [
        ([*project.AUTHENTICATION, project.OURS], []),
        ([project.AUTHENTICATION[0], project.OURS, project.AUTHENTICATION[1]], ["heliograph.E001"]),
        ([project.OURS], []),
        (project.AUTHENTICATION, []),
        ([project.OURS, "no.such.Middleware", "django.views.decorators.http.condition"], []),
    ],
)
def test_system_check_reports_the_wrong_order(middleware: list[str], errors: list[str]) -> None:
    """It is part of `manage.py check`, and no error of its own for other problems."""
    with override_settings(MIDDLEWARE=middleware):
        assert [each.id for each in checks.run_checks() if str(each.id).startswith("heliograph")] == errors


def test_system_check_of_a_project_without_users() -> None:
    """It need not have `django.contrib.auth`, whose middleware cannot be imported then."""
    assert python(WITHOUT_USERS).only == {"is_checked": True}
