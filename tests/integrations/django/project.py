"""A Django project inside of the test process: its settings are made once, and its database is a file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from heliograph import current_actor, set_actor

DIRECTORY = tempfile.TemporaryDirectory()
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


def see() -> None:
    SEEN.append(current_actor())


def sync_view(request: HttpRequest) -> HttpResponse:
    see()
    return HttpResponse()


async def async_view(request: HttpRequest) -> HttpResponse:
    see()
    return HttpResponse()


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
    path("silent", view_that_does_not_ask),
    path("user", view_with_user),
    path("auser", async_view_with_user),
    path("set", view_that_sets_the_actor),
    path("stream", stream),
    path("astream", async_stream),
]
