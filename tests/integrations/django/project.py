"""A Django project inside of the test process: its settings are made once, and its database is a file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import django
from asgiref.sync import markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from heliograph import current_actor, set_actor
from heliograph.integrations.django import HeliographMiddleware

DIRECTORY = tempfile.TemporaryDirectory()
SYNC_ONLY, ASYNC_ONLY = f"{__name__}.SyncOnly", f"{__name__}.AsyncOnly"
SEEN: list[object] = []
"""The ambient actors that views saw."""
OURS = "heliograph.integrations.django.HeliographMiddleware"
AUTHENTICATION = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(Path(DIRECTORY.name) / "test.db")}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "heliograph.integrations.django",
        ],
        MIDDLEWARE=[*AUTHENTICATION, OURS],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="secret",
    )
    django.setup()


class SyncOnly:
    """Middleware that Django runs in a thread, under ASGI."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)


class AsyncOnly:
    """Middleware that Django runs on an event loop, under WSGI."""

    sync_capable, async_capable = False, True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> Any:
        return await self.get_response(request)


class MiddlewareWithSpans(HeliographMiddleware):
    """Gives each request a span."""

    request_span = True


def see() -> None:
    SEEN.append(current_actor())


def sync_view(request: HttpRequest) -> HttpResponse:
    see()
    return HttpResponse()


async def async_view(request: HttpRequest) -> HttpResponse:
    see()
    return HttpResponse()


def view_that_fails(request: HttpRequest) -> HttpResponse:
    raise LookupError("a secret")


def interrupted_view(request: HttpRequest) -> HttpResponse:
    raise SystemExit


def stream_that_fails(request: HttpRequest) -> StreamingHttpResponse:
    def rows() -> Iterator[str]:
        yield "1"
        raise LookupError("a secret")

    return StreamingHttpResponse(rows())


def view_that_does_not_ask(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def view_with_user(request: Any) -> HttpResponse:
    return HttpResponse(str(request.user.pk))


async def async_view_with_user(request: Any) -> HttpResponse:
    return HttpResponse(str((await request.auser()).pk))


def view_that_sets_the_actor(request: HttpRequest) -> HttpResponse:
    set_actor({"id": "set"})
    see()
    return HttpResponse()


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def rows() -> Iterator[str]:
        try:
            see()
            yield "1"
            yield "2"
        finally:
            see()

    return StreamingHttpResponse(rows())


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def rows() -> AsyncIterator[str]:
        for number in "12":
            see()
            yield number

    return StreamingHttpResponse(rows())


urlpatterns = [
    path("sync", sync_view),
    path("async", async_view),
    path("fail", view_that_fails),
    path("interrupted", interrupted_view),
    path("failing-stream", stream_that_fails),
    path("silent", view_that_does_not_ask),
    path("user", view_with_user),
    path("auser", async_view_with_user),
    path("set", view_that_sets_the_actor),
    path("stream", stream),
    path("astream", async_stream),
]
