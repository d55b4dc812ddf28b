"""The middleware that makes the user of a request the actor of its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from heliograph.ambient_actor import Actor, acting_as
from heliograph.integrations.django.streams import keep_for_stream
from heliograph.integrations.django.user import ActorOfUser, actor_of_user
from heliograph.integrations.request_span import RequestSpan, start_request_span
from heliograph.telemetry.providers import Providers

_ATTRIBUTE: Final = "_heliograph_actor"
"""The attribute of a request that has its actor."""


_providers: Final = Providers()
"""The global providers. One object serves all requests, because it keeps its tracer."""


class HeliographMiddleware:
    """Makes the user of each request the actor of its events, under WSGI and ASGI.

    Its place in ``MIDDLEWARE`` is after ``AuthenticationMiddleware``. It raises no exception of its own: if the user cannot be determined,
    a warning is logged, and events have no actor.
    """

    request_span = False
    """A subclass sets it to True to give each request without a recording span a SERVER span."""
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = bool(iscoroutinefunction(get_response))
        if self._is_async:
            markcoroutinefunction(self)
        else:
            # Not a method of the class: in an async chain, Django would run it in a thread for each request.
            self.process_view = self._prepare_view

    def actor(self, user: Any) -> Actor | None:
        """Return the actor for a user: its primary key as ``id``, or `None` for an anonymous user. A subclass may add keys."""
        return actor_of_user(user)

    def __call__(self, request: Any) -> Any:
        """Return the response, or an awaitable of it."""
        actor = ActorOfUser(request, self.actor)
        setattr(request, _ATTRIBUTE, actor)
        return self._respond_async(request, actor) if self._is_async else self._respond(request, actor)

    def _respond(self, request: Any, actor: ActorOfUser) -> Any:
        with acting_as(actor), self._span_of(request, actor) as span:
            response = self.get_response(request)
            keep_for_stream(response, actor, span)
        return response

    async def _respond_async(self, request: Any, actor: ActorOfUser) -> Any:
        await actor.evaluate_async()
        with acting_as(actor), self._span_of(request, actor) as span:
            response = await self.get_response(request)
            keep_for_stream(response, actor, span)
        return response

    @contextmanager
    def _span_of(self, request: Any, actor: ActorOfUser) -> Iterator[RequestSpan | None]:
        span = None
        if self.request_span:
            span = start_request_span(_providers.tracer, actor.attribute, request.META.get("HTTP_TRACEPARENT"))
        if span is None:
            yield None
            return
        try:
            with span.current():
                yield span
        except BaseException as error:
            span.end(error)
            raise

    def _prepare_view(self, request: Any, view: Callable[..., Any], _args: object, _kwargs: object) -> None:
        # An async view cannot evaluate the user later, because that may query the database, which Django refuses in async code.
        if iscoroutinefunction(view):
            getattr(request, _ATTRIBUTE).evaluate()
