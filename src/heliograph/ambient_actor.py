"""The ambient actor: who causes the events that are made in the current context, if they do not say it themselves.

`acting_as` opens a *block*. The current block is in a `ContextVar`, so that each thread and each asyncio task has its own, and each
block knows the one around it.

Blocks that end elsewhere
-------------------------
A block may end in another context than it began in: an async generator that is not read to its end is closed by another task, and
fixtures and dependencies of frameworks begin in one task or thread and end in another. The context in which it began cannot be
changed from there. So the block is marked as *ended elsewhere*: it no longer applies anywhere, and the block around it decides instead.
The same happens to a block that ends while one inside of it has not ended, as with two generators that are read in turn.

A block that ends where it began is not marked. A task that was started in it has a copy of the context, and keeps the actor.

Generators
----------
Python has no context of its own for a generator: what it sets, its caller sees at each ``yield``. An event that the caller makes
between two rows must not have the actor of a generator that reads rows. So a block remembers the generator that it is in, and
does not apply while that generator is suspended. There are two exceptions, in which it applies. The generator of a context manager, a
fixture or a hook wrapper is suspended while the code runs that the block is for: the body of a ``with`` statement, a test, or a hook.
And from another context, such as that of a task that the generator started, it cannot be seen if the generator is suspended, or waits
for that task.

Functions
---------
The function of a block may itself track an event, or verify a token. While it runs, its block does not apply, so that such an event has
the actor of the block around it, and does not call the function again. `set_actor` still finds the request.

Requests
--------
`RequestActor` is an actor that is not known yet when its block begins. `set_actor` fills it in, from any thread or task of the
request: they share the object, although each may have a copy of the context. `set_actor` changes no other block. Its
actor would become that of everything else that runs in the block, such as other requests.

The same object knows the request itself, as far as events may show it: `current_request` finds it.

Where no block applies
----------------------
Frameworks keep the user of a request in an object of their own, and may have it where no block can be: a block around a request of
WSGI has ended before a streamed response is read. A function of `default_actor` looks there. It is asked only where no block
applies. A block without an actor applies, too: ``acting_as(None)`` means that nobody acts.

Threads: any number of threads may use one block at once. Each step on it is one assignment. The list of the functions of
`default_actor` is copied before it is read, and each change to it is one step.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import FrameType, FunctionType, MethodType
from typing import Final, TypeAlias

from heliograph.classes import qualified_name
from heliograph.runtime.generators import generator_around, is_running
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

Actor: TypeAlias = Mapping[str, object]
"""The user or program that caused an event: a mapping, usually with an ``id``."""

ActorFunction: TypeAlias = Callable[[], "Actor | None"]
"""A function that returns the ambient actor."""

failures: Final = LimitedLog(SafeLogger(SCOPE))
"""Logs problems that may occur for every event, at a limited rate."""


class RequestActor:
    """The actor of one request, which may become known while the request is handled: ``with acting_as(RequestActor()):``.

    It is a function for `acting_as`. `set_actor` fills it in.
    """

    def __init__(self) -> None:
        self._function: ActorFunction = self.unknown

    def __call__(self) -> Actor | None:
        """Return the actor that `set_actor` was given, or else the result of `unknown`."""
        return self._function()

    def fill_in(self, function: ActorFunction) -> None:
        """Use the function to find the actor from now on."""
        self._function = function

    def unknown(self) -> Actor | None:
        """Return the actor as long as `set_actor` was not called. A subclass may look for it elsewhere."""
        return None

    def attribute(self, name: str) -> object:  # noqa: ARG002 — a subclass uses it
        """Return an attribute of the request, or `None` if it is not known. A subclass that knows the request returns more.

        Args:
            name: Its name in OpenTelemetry's semantic conventions: one that the setting ``HELIOGRAPH_CONTEXT`` allows.
        """
        return None


class _KnownActor:
    """Returns an actor that was passed as a value. No code of the program runs."""

    __slots__ = ("actor",)

    def __init__(self, actor: Actor | None) -> None:
        self.actor = actor

    def __call__(self) -> Actor | None:
        return self.actor


class _Block:
    """One use of `acting_as`.

    Attributes:
        function: Returns the actor.
        outer: The block around it.
        ended_elsewhere: True if the block has ended, and the context that it began in could not be changed.
        generator: The frame of the generator that the block is in, if the caller must not see the block.
    """

    __slots__ = ("_probe_token", "ended_elsewhere", "function", "generator", "outer")

    def __init__(self, function: ActorFunction, outer: _Block | None, generator: FrameType | None) -> None:
        self.function = function
        self.outer = outer
        self.ended_elsewhere = False
        self.generator = generator
        self._probe_token = None if generator is None else _probe.set(None)

    def applies(self) -> bool:
        """Return True if the block applies to the code that asks."""
        if self.ended_elsewhere:
            return False
        return self.generator is None or is_running(self.generator) or not self._is_in_own_context()

    def _is_in_own_context(self) -> bool:
        # A token can be used once, and only in the context that it was made in. There is no other way to compare contexts.
        try:
            _probe.reset(self._probe_token)  # type: ignore[arg-type]
        except (ValueError, RuntimeError):
            # A RuntimeError means that a signal handler runs between this step and the next one, which replaces the token.
            return False
        self._probe_token = _probe.set(None)
        return True


_current: ContextVar[_Block | None] = ContextVar("heliograph_actor", default=None)
"""The innermost block of this context."""
_asked: ContextVar[tuple[_Block, ...]] = ContextVar("heliograph_asked_actors", default=())
"""The blocks whose functions are running."""
_probe: ContextVar[None] = ContextVar("heliograph_actor_probe")
"""Set only to find out if two pieces of code run in one context: see `_Block`."""


def _current_block() -> _Block | None:
    block, asked = _current.get(), _asked.get()
    while block is not None and (block in asked or not block.applies()):
        block = block.outer
    return block


_NOBODY: Final = _Block(_KnownActor(None), None, None)
"""The block that the functions of `default_actor` run in: an event that one of them makes must not call them again."""
_default_actors: Final[list[ActorFunction]] = []


def current_actor() -> Actor | None:
    """Return the ambient actor: the one of the innermost `acting_as`, else the one of `default_actor`, or `None`.

    If the function that was passed to one of them raises an exception, it is logged and counted, and there is no actor.
    """
    block = _current_block()
    if block is None:
        return _find_default() if _default_actors else None
    function = block.function
    kind = type(function)
    # Most blocks have a known actor, or a `RequestActor` with one. For these, no call and no change of `_asked` is needed.
    # A subclass of `RequestActor` may have a `__call__` of its own.
    if kind is not _KnownActor and issubclass(kind, RequestActor) and kind.__call__ is RequestActor.__call__:
        function = function._function  # type: ignore[attr-defined]  # noqa: SLF001 — a class of this module
    if type(function) is _KnownActor:
        return function.actor
    token = _asked.set((*_asked.get(), block))
    try:
        return function()
    except program_errors() as error:
        _report_failure(ProgramCode.ACTING_AS, error)
        return None
    finally:
        _asked.reset(token)


def default_actor(function: ActorFunction) -> Callable[[], None]:
    """Ask a function for the actor of each event that is made where no `acting_as` applies.

    It is for integrations of frameworks that keep the user of the current request in a place of their own. Functions are asked in the
    order in which they were registered, until one returns an actor. If one fails, the event has no actor: another function
    might return somebody who did not act.

    Args:
        function: A function without arguments that returns the mapping of the actor, or `None` if it knows none here, such as
            outside of a request. It is called in the thread and in the context that the event is made in.

    Returns:
        A function that removes it again.

    Raises:
        TypeError: `function` cannot be called, or is async.
    """
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"default_actor() takes a sync function without arguments, not {function!r}")
    if function not in _default_actors:
        _default_actors.append(function)

    def remove() -> None:
        with suppress(ValueError):  # it was removed before
            _default_actors.remove(function)

    return remove


def _find_default() -> Actor | None:
    token = _current.set(_NOBODY)
    try:
        for function in tuple(_default_actors):
            actor = function()
            if actor is not None:
                return actor
    except program_errors() as error:
        _report_failure(ProgramCode.DEFAULT_ACTOR, error)
    finally:
        _current.reset(token)
    return None


def _report_failure(passed_to: ProgramCode, error: BaseException) -> None:
    report(passed_to, error)
    failures.log(
        (passed_to, qualified_name(error)),
        "The function that was passed to %s() failed, so events have no actor.",
        passed_to.value,
        error=error,
    )


@contextmanager
def acting_as(actor: Actor | ActorFunction | None) -> Iterator[None]:
    """Make ``actor`` the default actor of all events created in this context.

    It applies inside the block, and to tasks and threads that copy its context. In a generator that yields values, it does not
    apply to the caller.

    Args:
        actor: A mapping, `None` for no actor, or a function without arguments that returns one of the two. The function is
            called each time an event is created: a middleware may run before authentication, and not know the actor yet.
            If the actor becomes known while a request is handled, pass a `RequestActor`, and call `set_actor` then.

    Raises:
        TypeError: `actor` is something else.
    """
    outer = _current.get()
    # Blocks that have ended are left out: each would be the outer block of the next one, and stay in memory.
    while outer is not None and outer.ended_elsewhere:
        outer = outer.outer
    block = _Block(_as_function(actor), outer, generator_around(inspect.currentframe()))
    token = _current.set(block)
    try:
        yield
    finally:
        is_current = _current.get() is block
        try:
            if is_current:
                _current.reset(token)
            else:
                _end_elsewhere(block)
        except ValueError:
            # This is a copy of the context that the block began in.
            _end_elsewhere(block)
        # The frame of a generator keeps every local variable alive.
        block.generator = None


def _end_elsewhere(block: _Block) -> None:
    block.ended_elsewhere = True
    if _current.get() is block:
        _current.set(block.outer)
    failures.log(
        "block",
        "A block of acting_as() ended in another task, thread or order than it began in. Its actor no longer applies. Enter and "
        "leave it in one function; in a generator, close the generator where it is used, with contextlib.closing or aclosing.",
        level=logging.WARNING,
    )


def set_actor(actor: Actor | ActorFunction | None) -> None:
    """Fill in the actor of the current request: of the innermost `acting_as` block with a `RequestActor`.

    Events that are created later in the request, in any task or thread of it, have that actor. A block inside of it that names
    an actor keeps that one. Outside of every request, nothing changes, and a warning is logged.

    Args:
        actor: A mapping, `None` for no actor, or a function without arguments that returns one of the two.

    Raises:
        TypeError: `actor` is something else.
    """
    function = _as_function(actor)
    request = _request_of_block()
    if request is not None:
        request.fill_in(function)
        return
    failures.log(
        "request",
        "set_actor() was called outside of a request, so it has no effect. Run the request in `with acting_as(RequestActor()):`. "
        "In Flask, set flask.g.actor instead.",
        level=logging.WARNING,
    )


def current_request() -> RequestActor | None:
    """Return the object of the current request, or `None` outside of requests.

    It is the one of the innermost block with a `RequestActor`, whatever actor the blocks inside of it name. Where there is none, it is
    the first `RequestActor` among the functions of `default_actor`, which knows the current request by itself.
    """
    request = _request_of_block()
    if request is None and _default_actors:
        for function in tuple(_default_actors):
            # `isinstance` would ask a lazy object of the program for its class.
            if issubclass(type(function), RequestActor):
                return function  # type: ignore[return-value]
    return request


def _request_of_block() -> RequestActor | None:
    block = _current.get()
    while block is not None:
        # `isinstance` would ask a lazy object of the program for its class.
        if issubclass(type(block.function), RequestActor) and block.applies():
            return block.function  # type: ignore[return-value]
        block = block.outer
    return None


def _as_function(actor: Actor | ActorFunction | None) -> ActorFunction:
    try:
        is_actor = actor is None or isinstance(actor, Mapping)
    except program_errors():
        # A lazy object cannot say its class. The event whose actor it is reports that.
        is_actor = True
    # This comes before `callable`, because a proxy of a mapping may have every method there is.
    if is_actor:
        return _KnownActor(actor)  # type: ignore[arg-type]
    # Only plain functions and methods are inspected, because `inspect` would run the code of a lazy object.
    is_async = type(actor) in (FunctionType, MethodType) and inspect.iscoroutinefunction(actor)
    # A class would make an object of itself for each event, which is not a mapping.
    is_class = issubclass(type(actor), type)
    if callable(actor) and not is_async and not is_class:
        return actor
    kind = "an async function" if is_async else f"{'the class ' if is_class else ''}{qualified_name(actor)}"
    raise TypeError(
        f"acting_as() and set_actor() take an actor's mapping, such as {{'id': 'root'}}, or a function that returns one, not {kind}"
    )
