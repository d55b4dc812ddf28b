"""Objects that see each event and each token operation of this process, before any OpenTelemetry provider does.

`heliograph.testing` is built on them, so a test needs no provider. Without an observer, an event costs one look at an empty list.

Threads: any thread may emit while another adds or removes an observer: each event is shown to a copy of the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from opentelemetry.trace import get_current_span

from heliograph.events import EventLike
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation
from heliograph.values.attributes import Attributes


@dataclass(frozen=True, kw_only=True)
class TrackedEvent:
    """An event, and what is emitted of it.

    Attributes:
        event: The object that the program tracked.
        event_name: Its name on the wire, such as ``app.ban_user``.
        attributes: The attributes of its log record, as they are before any limit of a provider. Private values are masked, hashed
            or missing, as on the wire.
        body: The body of its log record.
        uid: The value of ``log.record.uid``.
        time_unix_nano: The time at which it happened, in nanoseconds since the Unix epoch.
        trace_id: The trace that it is part of; 0 outside of spans.
        span_id: The span that it is part of; 0 outside of spans.
        violations: The violations of its schema, unless the setting ``validation`` is ``off``.
        is_in_quarantine: True if it was put into the quarantine, and not emitted.
    """

    event: Any
    event_name: str
    attributes: Mapping[str, Any]
    body: str
    uid: str
    time_unix_nano: int
    trace_id: int
    span_id: int
    violations: tuple[Violation, ...] = ()
    is_in_quarantine: bool = False


@dataclass(frozen=True, kw_only=True)
class TokenSpan:
    """An operation on a token, as its span shows it.

    Attributes:
        name: The name of the span: ``token.create`` or ``token.verify``.
        handler: The name of the handler that decided; `None` if none did.
        result: The value of ``heliograph.token.result``, such as ``created``, ``valid`` or ``expired``.
        token_id: The id of the token, if it is known.
        error_type: The class of the exception if the handler failed; `None` otherwise.
        attributes: The attributes of the span.
    """

    name: str
    handler: str | None
    result: str
    token_id: str | None
    error_type: str | None
    attributes: Mapping[str, Any]


class Observer(Protocol):
    """Receives what hosts emit. It runs in the thread of the caller, and must not raise.

    Attributes:
        replaces_providers: True for an observer of a test. While there is one, a missing provider is not reported.
    """

    replaces_providers: bool

    def on_event(self, source: object, event: TrackedEvent) -> None:
        """Receive an event that is emitted. `source` is the registry of the host's schemas."""

    def on_token(self, source: object, span: TokenSpan) -> None:
        """Receive a token operation that has ended. `source` is the registry of the host's schemas."""


observers: Final[list[Observer]] = []
"""The observers of this process."""


def remove_observer(observer: Observer) -> None:
    """Remove an observer, if it is there."""
    with suppress(ValueError):
        observers.remove(observer)


def provider_is_needed() -> bool:
    """Return False while an observer replaces OpenTelemetry's providers."""
    return not any(observer.replaces_providers for observer in observers.copy())


def show_event(
    source: object,
    reader: EventReader,
    event: EventLike,
    attributes: Attributes,
    *,
    uid: str,
    timestamp: int,
    violations: list[Violation] | None,
    is_in_quarantine: bool = False,
) -> None:
    """Show an event of the current span to every observer."""
    span = get_current_span().get_span_context()
    tracked = TrackedEvent(
        event=event,
        event_name=reader.schema.event_name,
        attributes=dict(attributes),
        body=reader.body_text(attributes),
        uid=uid,
        time_unix_nano=timestamp,
        trace_id=span.trace_id,
        span_id=span.span_id,
        violations=tuple(violations or ()),
        is_in_quarantine=is_in_quarantine,
    )
    for observer in observers.copy():
        observer.on_event(source, tracked)


def show_token(source: object, span: TokenSpan) -> None:
    """Show the end of a token operation to every observer."""
    for observer in observers.copy():
        observer.on_token(source, span)
