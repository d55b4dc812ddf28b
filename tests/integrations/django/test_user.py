"""The user of a request is the one that the program has evaluated, or else the one that we evaluate, once and without a trace."""

from __future__ import annotations

import asyncio
import copy

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from django.test import Client
from django.utils.functional import SimpleLazyObject

from heliograph import ambient_actor
from heliograph.integrations.django.user import (
    ASYNC_CACHE,
    SESSION_CACHE,
    SYNC_CACHE,
    WRAPPED,
    ActorOfUser,
    actor_of_user,
)
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger


def test_private_names_are_those_of_this_version(user: User) -> None:
    """Django keeps what it found in the attributes that we know."""
    client = Client()
    client.force_login(user)
    get_request = HttpRequest()
    get_request.session = SessionStore(client.cookies["sessionid"].value)
    from django.contrib.auth.middleware import AuthenticationMiddleware

    AuthenticationMiddleware(lambda _: None).process_request(get_request)
    lazy = vars(get_request)["user"]
    assert isinstance(lazy, SimpleLazyObject)
    assert not isinstance(copy.copy(lazy), User) or vars(lazy)[WRAPPED] is not None
    before = getattr(lazy, WRAPPED)
    assert lazy == user
    assert getattr(lazy, WRAPPED) is not before
    assert SYNC_CACHE in vars(get_request)
    assert asyncio.run(get_request.auser()) == user
    assert ASYNC_CACHE in vars(get_request)
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
    """A lazy user is evaluated in a thread. An event that the evaluation makes has no actor."""
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


def test_user_that_cannot_be_found_is_reported_once(
    warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of the users may fail. The events of the request have no actor, and the request goes on."""
    monkeypatch.setattr("heliograph.integrations.django.user.failures", LimitedLog(SafeLogger("heliograph")))
    asked: list[object] = []

    def find() -> User:
        asked.append(None)
        raise LookupError("a secret")

    request = HttpRequest()
    request.user = SimpleLazyObject(find)
    actor = ActorOfUser(request, actor_of_user)

    assert [actor(), actor()] == [None, None]
    assert len(asked) == 1
    assert [record.getMessage() for record in warnings.records] == [
        "The user of a request could not be determined, so its events have no actor."
    ]
    assert ambient_actor.current_actor() is None
