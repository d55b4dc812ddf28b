"""Add span events whose attributes were already encoded for the log record.

The log record and the span event of an event have the same attributes. They are encoded once: the span event keeps the bytes, and
`heliograph.delivery.encoding.spans` writes them when the span ends. The SDK's copy of the attributes, which takes longer than their
encoding, is made when somebody looks at them: a processor, or the program itself. From then on the attributes count and not the bytes, so
nobody's change is lost.

The SDK has no public way to add an event without copying its attributes. Its private one is used for spans of the SDK's own class, if
nothing but an outbox gets them when they end (anything else would look at the attributes), and if no limit would drop or cut one. It does not
matter if the provider is one of `configure` or the program's own, nor if a processor is added later.

A dict from unique ids to bytes was rejected: spans that never end would fill it, and every copy of an attribute would have to be
compared. This way the bytes live and die with their span. They never change, so threads and forked children need nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk import trace
from opentelemetry.sdk.trace import Event, SynchronousMultiSpanProcessor
from opentelemetry.trace import Span
from opentelemetry.util.types import Attributes

from heliograph.delivery.encoding.attributes import put_attributes
from heliograph.delivery.encoding.headers import BoundedCache
from heliograph.delivery.protobuf import repeated_field
from heliograph.otlp import decode_attributes
from heliograph.semconv import EVENT_NAME
from heliograph.telemetry.limits import MAX_ATTRIBUTES

_ATTRIBUTES: Final = b"\x1a"  # Span.Event.attributes
_SPAN_CLASS: Final = getattr(trace, "_Span", None)
_CAN_ADD: Final = hasattr(_SPAN_CLASS, "_add_event")


class EncodedSpanEvent(Event):
    """An event of the SDK whose attributes are made when somebody looks at them.

    Threads: any thread may read or replace the attributes while another one ends the span. `_made` is set by one operation of the
    object's dict, so attributes that were replaced never come back.
    """

    def __init__(self, name: str, timestamp: int, encoded: bytes) -> None:
        # Not by the constructor of the base class, which makes attributes.
        self._name, self._timestamp, self._encoded = name, timestamp, encoded

    @property
    def encoded(self) -> bytes | None:
        """The field with its attributes; `None` once somebody has looked at them, and may have changed them."""
        return None if "_made" in self.__dict__ else self._encoded

    @property
    def attributes(self) -> Attributes:
        """The attributes."""
        found: Attributes = self._attributes
        return found

    # The field of the SDK's class. Programs that hide personal data replace it.
    @property
    def _attributes(self) -> Any:
        made = self.__dict__
        if "_made" not in made:
            made.setdefault("_made", BoundedAttributes(attributes=_decode(self._encoded)))
        return made["_made"]

    @_attributes.setter
    def _attributes(self, attributes: Any) -> None:
        self.__dict__["_made"] = attributes


def takes_encoded_events(span: object) -> bool:
    """Return True if an event that is added to a span should be an `EncodedSpanEvent`."""
    if not _CAN_ADD or type(span) is not _SPAN_CLASS:
        return False
    limits: Any = getattr(span, "_limits", None)
    return (
        _has_only_outbox(getattr(span, "_span_processor", None))
        and limits.max_attribute_length is None
        and (limits.max_event_attributes is None or limits.max_event_attributes > MAX_ATTRIBUTES)
    )


def _has_only_outbox(processors: object) -> bool:
    """Return True if spans go to an outbox, and nowhere else."""
    if type(processors) is SynchronousMultiSpanProcessor:
        # The program has made the provider of these processors.
        found: Sequence[object] = getattr(processors, "_span_processors", ())
        return len(found) == 1 and getattr(found[0], "has_only_outbox", None) is True
    return getattr(processors, "has_only_outbox", None) is True


def add_encoded_event(span: Span, name: str, key_values: Sequence[bytes], timestamp: int) -> None:
    """Add an event to a span that records.

    Args:
        span: The span. One that does not take encoded events gets the attributes.
        name: The name of the event, which it has as one more attribute.
        key_values: The encoded attributes of its log record.
        timestamp: Its time in nanoseconds.
    """
    event = EncodedSpanEvent(name, timestamp, repeated_field(_ATTRIBUTES, key_values) + _name_attributes[name])
    if takes_encoded_events(span):
        span._add_event(event)  # type: ignore[attr-defined]  # noqa: SLF001 — see the top of this module
    else:
        span.add_event(name, event.attributes, timestamp)


def _decode(encoded: bytes) -> dict[str, Any]:
    # Bytes would become text here, but no form of a value is bytes.
    return decode_attributes(SpanMessage.Event.FromString(encoded).attributes)


def _encode_name(name: str) -> bytes:
    key_values: list[bytes] = []
    put_attributes(key_values, {str(EVENT_NAME): name})
    return repeated_field(_ATTRIBUTES, key_values)


_name_attributes: Final = BoundedCache(_encode_name)
