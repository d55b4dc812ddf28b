"""Find the actor of a request: its user.

Django's `request.user` is lazy: its first use queries the database. In async code it raises an exception, even after
``await request.auser()``, which keeps the user in another place. Django REST Framework authenticates in the view, and
replaces `request.user`. So this module first looks for a user that the program has evaluated already, in each of these places, and
evaluates the user itself only if there is none.

That must not change the response. Evaluating the user marks the session as accessed, which adds ``Vary: Cookie`` to the
response; and it replaces an invalid session by a new one, so that the response deletes the cookie. If the program itself does not use the
session, the response must have neither. So the changes that our evaluation makes are undone. They are in attributes that Django does not
document; a test checks them with each supported version.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import SessionBase
from django.utils.functional import LazyObject, empty

from heliograph.ambient_actor import Actor, RequestActor, failures
from heliograph.classes import qualified_name
from heliograph.integrations.request_attributes import of_environ
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.semconv import HTTP_ROUTE, URL_PATH, URL_SCHEME

ActorOf: TypeAlias = Callable[[Any], "Actor | None"]
"""A function that returns the actor for a user."""

SYNC_CACHE: Final = "_cached_user"
"""The attribute in which a request keeps the user that `request.user` has found."""
ASYNC_CACHE: Final = "_acached_user"
"""The attribute in which it keeps the user that `request.auser` has found."""
WRAPPED: Final = "_wrapped"
"""The attribute in which a lazy object keeps what it was evaluated to."""
SESSION_CACHE: Final = "_session_cache"
"""The attribute in which a session keeps what it loaded."""


class ActorOfUser(RequestActor):
    """Returns the actor of the user of a request, each time that an event without an actor is created.

    Args:
        request: The request.
        actor_of: Returns the actor for a user.
    """

    def __init__(self, request: Any, actor_of: ActorOf) -> None:
        super().__init__()
        self._request = request
        self._actor_of = actor_of
        self._is_evaluated = False
        self._evaluated: Actor | None = None

    def unknown(self) -> Actor | None:
        """Return the actor for the user that the program has evaluated, or else for the one that we evaluate."""
        attributes = vars(self._request)
        user = attributes.get("user")
        if user is not None and not _is_unevaluated(user):
            return self._actor_of(user)
        if ASYNC_CACHE in attributes:
            return self._actor_of(attributes[ASYNC_CACHE])
        if not self._is_evaluated and not _is_async():
            self.evaluate()
        return self._evaluated

    def attribute(self, name: str) -> object:
        """Return an attribute of the request. ``META`` is like a WSGI environment, under ASGI, too."""
        if name == URL_PATH:
            return self._request.path
        if name == URL_SCHEME:
            return self._request.scheme
        if name != HTTP_ROUTE:
            return of_environ(self._request.META, name)
        match = self._request.resolver_match
        # The prefix under which the whole site is served (`SCRIPT_NAME`) is not part of its routes.
        prefix = self._request.path.removesuffix(self._request.path_info)
        return None if match is None else f"{prefix}/{match.route}"

    def evaluate(self) -> None:
        """Evaluate the user now, once, in sync code. A failure is logged."""
        user = vars(self._request).get("user")
        if self._is_evaluated or not _is_unevaluated(user):
            return
        # Set first, because a function that the evaluation calls may track an event, which calls this again.
        self._is_evaluated = True
        try:
            with _without_traces(self._request):
                self._evaluated = self._actor_of(copy.copy(user))
        except program_errors() as error:
            _report(error)

    async def evaluate_async(self) -> None:
        """Evaluate the user now, once, in async code. A failure is logged."""
        attributes = vars(self._request)
        if ASYNC_CACHE in attributes or not _is_unevaluated(attributes.get("user")):
            return
        if not hasattr(self._request, "auser"):
            # Another middleware, without support for async code, has set the user.
            await sync_to_async(self.evaluate)()
            return
        self._is_evaluated = True
        try:
            with _without_traces(self._request):
                self._evaluated = self._actor_of(await self._request.auser())
        except Exception as error:
            # The session's store and the database may raise anything.
            _report(error)


def actor_of_user(user: Any) -> Actor | None:
    """Return an actor that has the primary key of an authenticated user as its id."""
    return {"id": str(user.pk)} if user.is_authenticated else None


def _is_async() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_unevaluated(user: object) -> bool:
    return isinstance(user, LazyObject) and getattr(user, WRAPPED) is empty


def _report(error: BaseException) -> None:
    report(ProgramCode.DEFAULT_ACTOR, error)
    message = "The user of a request could not be determined, so its events have no actor."
    failures.log(("user", qualified_name(error)), message, error=error)


@contextmanager
def _without_traces(request: Any) -> Iterator[None]:
    """Undo the changes that an evaluation of the user in the block makes in the request and in its session.

    The exception is a session that got a new key, because the secret of the site changed. It has to be saved.
    """
    attributes = vars(request)
    caches = {name: attributes[name] for name in (SYNC_CACHE, ASYNC_CACHE) if name in attributes}
    try:
        with _session_as_before(attributes.get("session")):
            yield
    finally:
        for name in (SYNC_CACHE, ASYNC_CACHE):
            attributes.pop(name, None)
        attributes.update(caches)


@contextmanager
def _session_as_before(session: Any) -> Iterator[None]:
    if not isinstance(session, SessionBase):
        yield
        return
    state, key = dict(vars(session)), session.session_key
    try:
        yield
    finally:
        if session.session_key in (None, key):
            is_valid = session.session_key is not None and session.modified == state["modified"]
            # The loaded data is kept, so that the program need not load it again.
            loaded = {name: value for name, value in vars(session).items() if is_valid and name == SESSION_CACHE}
            vars(session).clear()
            vars(session).update({**loaded, **state})
