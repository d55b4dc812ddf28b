"""The ambient actor in Celery: the events of a task have the actor that was ambient where the task was sent, in whatever process it runs.

The producer puts the actor into a header of the message, and signs it together with the id and the name of the task, with the secret of the
host. Somebody who can write to the broker, but does not know the secret, can neither create such a header nor use one for another task. (The
arguments of a task are not signed. Celery has its own way to sign whole messages.) The header is not encrypted. It contains only the
keys that the setting ``HELIOGRAPH_ACTOR`` exports.

The functions here are receivers of Celery's signals, which Celery sends for every message: of a call, a step of a chain, a retry, or the
schedule. A step or a retry is sent while the previous task runs, so it gets the actor of that task. A task that runs eagerly has no
message, and Celery sends only the signals of the worker. Such a task keeps the actor that is ambient where it is called.

Threads: a `TaskActors` does not change after its construction. The block of a task is kept in the task's request, which one thread uses.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import itsdangerous
from celery import Celery, signals

from heliograph.ambient_actor import Actor, RequestActor, acting_as, current_actor
from heliograph.arguments import A_HOST, check_argument
from heliograph.classes import qualified_name
from heliograph.host import Host
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.actor_attributes import TOKEN_ID_KEY, ActorFilter

HEADER: Final = "heliograph_actor"
"""The header of a message with the actor of the task."""
NAMESPACE: Final = "heliograph.celery"
"""The namespace that headers are signed in."""
MAX_ACTOR_LENGTH: Final = 4096
"""The largest length of an actor in a header, in characters of JSON. Keys that exceed it are not sent."""
MAX_HEADER_LENGTH: Final = 16 * 1024
"""The largest length of a header, which also has the id and the name of the task. A longer one is neither sent nor read."""

REFUSED: Final = (
    "A task has no actor, because the actor in its header was not signed for this task, or not with a secret of this worker. "
    "Producers and workers need the same HELIOGRAPH_SECRET."
)
"""The message for a header that is refused."""
TOO_LONG: Final = "A task has no actor, because its id and its name are too long."
CUT: Final = "The actor of a task is too large, so some of its keys are not sent."
"""The messages for an actor that is too large to be sent as a whole."""

_FIRST_KEYS: Final = ("id", TOKEN_ID_KEY, "token")
"""The keys of an actor that are sent first, before the limit of its length is reached."""
_BLOCK: Final = "_heliograph_block"
"""The attribute of a task's request that holds the open `acting_as` block."""

failures: Final = LimitedLog(SafeLogger(SCOPE))
"""Logs problems that may occur for every task, at a limited rate."""


def init_app(app: Celery, host: Host) -> None:
    """Give the events of each task the actor who was ambient where the task was sent. Call it in producers and in workers.

    Both need the same secrets (``HELIOGRAPH_SECRET``): the newest one signs, and all of them are accepted. If one process has several
    applications, their hosts need the same ones, too.

    Args:
        app: The application. A second call for it replaces the host.
        host: The host that signs and verifies. Events are tracked on it as anywhere else.

    Raises:
        TypeError: `host` is something else.
    """
    check_argument("host", host, Host, A_HOST)
    # `celery.current_app` is a proxy, whose id is not the id of the application.
    app = getattr(app, "_get_current_object", lambda: app)()
    actors = TaskActors(app, host)
    for signal, function in (
        (signals.before_task_publish, actors.add_header),
        (signals.task_prerun, actors.begin),
        (signals.task_postrun, actors.end),
    ):
        uid = (SCOPE, id(app))
        signal.disconnect(dispatch_uid=uid)
        signal.connect(function, weak=False, dispatch_uid=uid)


class TaskActors:
    """The receivers of Celery's signals for one application. None of them raises an exception.

    Args:
        app: The application.
        host: The host.
    """

    def __init__(self, app: Celery, host: Host) -> None:
        self._app = app
        self._host = host
        self._filter = ActorFilter(host.settings.actor, host.schemas.policy)

    def add_header(self, *, headers: dict[str, Any], body: Any, **_: object) -> None:
        """Put the ambient actor into the headers of a message that is about to be sent."""
        try:
            # A retry, and code that copies the headers of its task, would send the header of the previous message.
            headers.pop(HEADER, None)
            actor = current_actor()
            if actor is not None:
                # The first version of Celery's protocol has the names in the body.
                names = body if isinstance(body, dict) else headers
                self._sign(headers, actor, names.get("id"), names.get("task"))
        except program_errors() as error:
            kind = ("send", qualified_name(error))
            failures.log(kind, "The actor of a task could not be sent, so the task has none.", error=error)

    def _sign(self, headers: dict[str, Any], actor: Actor, task_id: object, name: object) -> None:
        # A program may use a `UUID` as the id, which arrives as text.
        header = self._host.sign([self._bounded(actor), str(task_id), name], NAMESPACE)
        if len(header) > MAX_HEADER_LENGTH:
            failures.log("size", TOO_LONG, level=logging.WARNING)
            return
        headers[HEADER] = header

    def _bounded(self, actor: Actor) -> dict[str, object]:
        """Return the keys of an actor that are sent: the id first, and others as long as there is room."""
        forms = self._filter.portable(actor)
        kept: dict[str, object] = {}
        room = MAX_ACTOR_LENGTH
        for key in sorted(forms, key=lambda key: key not in _FIRST_KEYS):
            length = len(json.dumps({key: forms[key]}))
            if length <= room:
                kept[key] = forms[key]
                room -= length
        if len(kept) < len(forms):
            failures.log("room", CUT, level=logging.WARNING)
        return kept

    def begin(self, *, task: Any, **_: object) -> None:
        """Make the actor in the header of a task ambient, before the task runs in a worker."""
        try:
            request = task.request
            if task.app is not self._app or request.is_eager:
                return
            actor = RequestActor()
            sent = self._actor_of(request, task.name)
            if sent is not None:
                actor.fill_in(lambda: sent)
            block = acting_as(actor)
            block.__enter__()
            setattr(request, _BLOCK, block)
        except program_errors() as error:
            kind = ("begin", qualified_name(error))
            failures.log(kind, "A task has no actor, because an error occurred.", error=error)

    def end(self, *, task: Any, **_: object) -> None:
        """End the block that `begin` opened, after the task and its callbacks."""
        block = vars(task.request).pop(_BLOCK, None)
        if block is not None:
            block.__exit__(None, None, None)

    def _actor_of(self, request: Any, name: str) -> Actor | None:
        """Return the actor in the header of a task, or `None` if there is no header, or if it was not signed for this task."""
        header = _header_of(request)
        if header is None:
            return None
        # Raised for a wrong signature, or for a header that was not created by `_sign`.
        with suppress(itsdangerous.BadData, TypeError, ValueError):
            if isinstance(header, str) and len(header) <= MAX_HEADER_LENGTH:
                signed: Any = self._host.unsign(header, NAMESPACE)
                actor, *names = signed
                if names == [str(request.id), name] and isinstance(actor, dict):
                    return actor
        failures.log("refused", REFUSED, level=logging.WARNING)
        return None


def _header_of(request: Any) -> object:
    header = vars(request).get(HEADER)
    if header is not None:
        return header
    # A message of the first version of Celery's protocol has its headers there.
    headers = request.headers
    return headers.get(HEADER) if isinstance(headers, Mapping) else None
