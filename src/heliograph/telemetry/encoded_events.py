"""Encode events from object to bytes, for a logger that takes bytes: `heliograph.delivery.logger.OutboxLogger`.

The properties of such an event need no attributes. Code that is generated for its class encodes them, and `EncodedActors` the actor. The few
other attributes are encoded when the record is emitted. The properties become attributes, as always, if something else needs
them:

- a span that records, and takes no events with encoded attributes;
- an observer;
- the setting ``HELIOGRAPH_CONTEXT``: an attribute of the request is exported only if the event has none of that name;
- a new name of the event, under which it is emitted for a second time;
- limits of the SDK that are too low, or apply to each text.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol, TypeAlias, cast

from opentelemetry.context import Context
from opentelemetry.trace import Span, get_current_span

from heliograph.events import EventLike
from heliograph.runtime.program_errors import program_errors
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.generated.key_values import KeyValueEncoder, KeyValuesFunction
from heliograph.schema.read.validation import Violation
from heliograph.settings import Settings, Signal, SpanEventContent
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.encoded_actors import EncodedActors
from heliograph.telemetry.logger_processors import processors_of
from heliograph.telemetry.observers import observers
from heliograph.telemetry.otel_api import SeverityNumber
from heliograph.values.attributes import Attributes


class EncodingLogger(Protocol):
    """A logger that takes events as bytes.

    Attributes:
        takes_bytes: True, in the class itself: a logger of another class, such as a mock, may have any attribute.
        key_values: Encodes attributes.
    """

    takes_bytes: ClassVar[bool]
    key_values: KeyValueEncoder

    @property
    def max_attributes(self) -> int:
        """The number of attributes that an encoded event may have: 0 if it can take none now."""

    def common_fields(self, severity_number: SeverityNumber, body: str, event_name: str, version: str | None) -> Any:
        """Return the fields that all records of an event class have, for `emit_encoded`."""

    def emit_encoded(  # noqa: PLR0917 — called for each event
        self,
        common: Any,
        key_values: list[bytes],
        attributes: Attributes,
        uid: str,
        timestamp: int,
        context: Context,
    ) -> bool:
        """Emit the record of an event. Return False, and do nothing, if it has to be emitted with attributes.

        Args:
            common: The fields of all records of its class, from `common_fields`.
            key_values: Its encoded properties, to which all other attributes are added, before anything can fail.
            attributes: Its other attributes, without those that events of every class have.
            uid: Its unique id.
            timestamp: Its time in nanoseconds.
            context: The context with its span.
        """

    def takes_span_events(self, span: Span) -> bool:
        """Return True if `add_span_event` should be used for a span. It works for any span."""

    def add_span_event(self, span: Span, event_name: str, key_values: list[bytes], timestamp: int) -> None:
        """Add an event to a span that records, after its record was emitted.

        Args:
            span: The span.
            event_name: The name of the event.
            key_values: All encoded attributes of the record, as `emit_encoded` has completed them.
            timestamp: Its time in nanoseconds.
        """


Encoded: TypeAlias = "tuple[EncodingLogger, Any, list[bytes]]"
"""The logger that an event was encoded for, the fields of all records of its class, and its encoded properties."""

SEVERITY_NUMBERS: Final = tuple(SeverityNumber)
"""By the number, which is the index: `SeverityNumber` begins with UNSPECIFIED (0)."""
STANDARD_ATTRIBUTES: Final = 3
"""The number of attributes that events of every class may have: the unique id, the version, and in a span event the name."""
_MAX_CLASSES: Final = 1024
"""The number of classes at which all are forgotten: a program may register classes all the time."""


class EncodedEvents:
    """Encodes events, as long as nothing needs their properties as attributes.

    Threads: any number of threads may use it at once. The function of a class may be generated twice, which is harmless.

    Args:
        settings: The signals, and the content of span events.
        actor: Selects the keys of an actor that are exported.
    """

    def __init__(self, settings: Settings, actor: ActorFilter) -> None:
        self._actor = actor
        signals = settings.signals
        self._is_possible = Signal.LOG in signals and Signal.SPAN not in signals and not settings.context
        self._has_span_events = Signal.SPAN_EVENT in signals and settings.span_event is not SpanEventContent.REFERENCE
        self._logger: EncodingLogger | None = None
        self._actors: EncodedActors | None = None
        self._classes: dict[EventReader, tuple[KeyValuesFunction | None, Any]] = {}

    def use(self, logger: object) -> None:
        """Encode for a logger, if it takes bytes."""
        self._classes = {}
        if self._is_possible:
            _prepare(logger)
        takes_bytes = self._is_possible and getattr(type(logger), "takes_bytes", False) is True
        encoding = cast("EncodingLogger", logger) if takes_bytes else None
        self._actors = None if encoding is None else EncodedActors(self._actor, encoding.key_values)
        # This comes last, so that another thread that finds the logger has the actors, too.
        self._logger = encoding

    def encode(self, reader: EventReader, event: EventLike, violations: list[Violation] | None) -> Encoded | None:
        """Return an event with its encoded properties, or `None` if its attributes are needed.

        Args:
            reader: The reader of its class.
            event: The event.
            violations: A list to fill with its violations, or `None`.
        """
        logger = self._logger
        if logger is None or observers or not logger.max_attributes or reader.renamed is not None:
            return None
        if self._has_span_events and _span_needs_attributes(logger):
            return None
        function, common = self._classes.get(reader) or self._add_class(logger, reader)
        if function is None:
            return None
        key_values = function(event, violations)
        if key_values is None:
            if violations:
                violations.clear()  # the attributes are validated again
            return None
        return logger, common, key_values

    def put_actor(self, encoded: Encoded, actor: object) -> bool:
        """Add an actor to an encoded event. Return False, and do nothing, if the actor has to be exported as attributes."""
        # By the index: it takes less time than to unpack the tuple.
        return self._actors is not None and self._actors.put(encoded[2], actor)

    def _add_class(self, logger: EncodingLogger, reader: EventReader) -> tuple[KeyValuesFunction | None, Any]:
        if len(self._classes) >= _MAX_CLASSES:
            self._classes = {}
        schema, function = reader.schema, reader.encoding(logger.key_values)
        common = logger.common_fields(
            SEVERITY_NUMBERS[schema.severity], reader.body_text({}), schema.event_name, schema.version
        )
        self._classes[reader] = function, common
        return function, common


def names_of(encoded: Encoded) -> dict[str, None]:
    """Return the names of the attributes of an encoded event, as the keys of a dict."""
    logger, _, key_values = encoded
    return dict.fromkeys(logger.key_values.names(key_values))


def _prepare(logger: object) -> None:
    """Let the outbox of a provider that the program has made change the logger to one that takes bytes."""
    for processor in processors_of(logger):
        prepare_logger = getattr(type(processor), "prepare_logger", None)
        if prepare_logger is not None:
            prepare_logger(processor, logger)


def _span_needs_attributes(logger: EncodingLogger) -> bool:
    """Return True if the current span may record, and takes no encoded events."""
    try:
        span = get_current_span()
        return span.is_recording() and not logger.takes_span_events(span)
    except program_errors():
        # The class may be the program's own. The failure is reported when the span event is added.
        return True
