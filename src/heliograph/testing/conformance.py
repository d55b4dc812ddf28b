"""`assert_conforms`: check that the events of a plugin are what its classes declare, by a workload that uses all of them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final

from heliograph.classes import qualified_name
from heliograph.errors import UnregisteredEvent
from heliograph.host import Host
from heliograph.schema.compile import datasette_events
from heliograph.schema.read.validation import ViolationKind
from heliograph.telemetry.observers import TrackedEvent
from heliograph.testing.capture import Captured, capture
from heliograph.testing.sources import registry_of
from heliograph.values.text import display

TOKENS: Final = ("dstok_", "hgtok_", "dsatok_")
"""The prefixes of tokens. No telemetry may have a token in it."""


def assert_conforms(
    host: Host, workload: Callable[[], object], *, forbidden: Iterable[str] = (), unused: Iterable[type] = ()
) -> Captured:
    """Run a workload, and check everything that it emits against the registered event classes.

    It finds events of classes that are not registered, registered classes of which no event was emitted, events that violate their
    schema, and values that must not be exported: those of `forbidden`, and tokens.

    In async tests, and in those with a `Datasette`, run the workload inside of `capture`, and pass the result to `problems_of`.

    Args:
        host: The host that the plugin is registered at.
        workload: A function that makes the plugin emit each of its events. An async function runs on the host's own loop.
        forbidden: Texts that no attribute and no body may contain, such as a password that the workload uses.
        unused: Registered classes that the workload does not use.

    Returns:
        The events and token operations of the workload.

    Raises:
        AssertionError: There are problems; it lists all of them.
    """
    unregistered: list[str] = []
    with capture(host) as captured:
        try:
            _run(host, workload)
        except UnregisteredEvent as error:
            unregistered = [
                f"emitted and not registered: {qualified_name(error.event_class)}; the workload ended there"
            ]
    problems = [*unregistered, *problems_of(captured, forbidden=forbidden, unused=unused)]
    if problems:
        raise AssertionError("\n".join(["the workload does not conform:", *(f"  {each}" for each in problems)]))
    return captured


def _run(host: Host, workload: Callable[[], Any]) -> None:
    if inspect.iscoroutinefunction(workload):
        host.call(workload)
    elif inspect.isawaitable(result := workload()):
        host.call(_awaited, result)
    host.flush()


async def _awaited(result: Awaitable[object]) -> None:
    await result


def problems_of(captured: Captured, *, forbidden: Iterable[str] = (), unused: Iterable[type] = ()) -> Iterator[str]:
    """Yield a message for each problem of the events and token operations that were captured of one host.

    The event classes of Datasette's core need not be used: no plugin registers them.

    Args:
        captured: The result of `capture(host)`.
        forbidden: As for `assert_conforms`.
        unused: As for `assert_conforms`.

    Raises:
        TypeError: The events are those of all hosts.
    """
    schemas = registry_of(captured.host)
    known = {*schemas, *(schema.event_class for schema in schemas.own)}
    for event in captured.events:
        yield from _problems_of_event(event, is_registered=type(event.event) in known)
    used = {*unused, *(type(event.event) for event in captured.events)}
    never_emitted = (each for each in schemas if each not in used and each.__module__ != datasette_events.MODULE)
    yield from (f"registered and never emitted: {qualified_name(each)}" for each in never_emitted)
    for place, text in _exported_texts(captured):
        found = [each for each in (*forbidden, *TOKENS) if each in text]
        yield from (f"forbidden value {display(each)!r} in {place}" for each in found)


def _problems_of_event(event: TrackedEvent, *, is_registered: bool) -> Iterator[str]:
    if not is_registered:
        yield f"emitted and not registered: {qualified_name(event.event)}"
    for violation in event.violations:
        if is_registered or violation.kind is not ViolationKind.UNPLANNED_EVENT:
            yield f"{event.event_name}: {violation}"


def _exported_texts(captured: Captured) -> Iterator[tuple[str, str]]:
    """Yield each place, with its text. The name of an attribute is part of the text, since keys of dicts become names."""
    for event in captured.events:
        yield f"the body of {event.event_name}", event.body
    places = [(each.event_name, each.attributes) for each in captured.events]
    places += [(each.name, each.attributes) for each in captured.tokens]
    for place, attributes in places:
        for name, value in attributes.items():
            yield f"the attribute {display(name)} of {place}", f"{name} {value}"
