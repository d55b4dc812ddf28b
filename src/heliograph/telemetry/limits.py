"""The limits for the attributes of an event: ours, and those of the SDK, if they are lower.

The SDK drops attributes beyond its count limit, and cuts text beyond its length limit, without a trace in the record. So the
attributes beyond a count limit are put into the overflow before the SDK sees them, and unique ids and the actor are exempt from a
length limit that would cut them: a receiver would take events with equal beginnings of their ids for duplicates.

The limits are read from the objects that apply them. If these have none, the standard variables of the environment apply.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import ACTOR_ONLY, EVENT_NAME, EVENT_OVERFLOW, LOG_RECORD_UID, SCOPE
from heliograph.values.attributes import Attributes, AttributeValue, add_overflow

MAX_ATTRIBUTES: Final = 100
"""The maximum number of attributes of an event. The SDK silently drops attributes beyond its own limit, 128 by default."""
MIN_ATTRIBUTES: Final = 2
"""The least number of attributes that loses nothing: the unique id, and the overflow."""
UID_LENGTH: Final = 36
"""The number of characters of a unique id."""

# Dicts are slower with keys of a subclass of str.
_UID: Final = str(LOG_RECORD_UID)
_NAME: Final = str(EVENT_NAME)
_EXEMPT: Final = ACTOR_ONLY | {_UID, _NAME}

_COUNT: Final = "OTEL_ATTRIBUTE_COUNT_LIMIT"
_LOG_COUNT: Final = "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"
_EVENT_COUNT: Final = "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"
_SPAN_COUNT: Final = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
_LENGTH: Final = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
_LOG_LENGTH: Final = "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"
_SPAN_LENGTH: Final = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"

logger: Final = SafeLogger(SCOPE)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits for the attributes of one signal.

    Attributes:
        count: The maximum number of attributes, `MAX_ATTRIBUTES` at most.
        length: The maximum number of characters of a text if it is too low for a unique id, else `None`.
    """

    count: int = MAX_ATTRIBUTES
    length: int | None = None

    def apply(self, attributes: Attributes) -> Attributes:
        """Return attributes within the limits. The given attributes are not changed."""
        if len(attributes) > self.count:
            attributes = limit_attributes(attributes, self.count)
        if self.length is not None:
            attributes = {name: _exempt(value) if name in _EXEMPT else value for name, value in attributes.items()}
        return attributes


def limits_of_logger(logger: object) -> Limits:
    """Return the limits for log records."""
    limits = getattr(logger, "_log_record_limits", None)
    return _limits(
        _own(limits, "max_log_record_attributes", _LOG_COUNT, _COUNT),
        _own(limits, "max_log_record_attribute_length", _LOG_LENGTH, _LENGTH),
    )


def limits_of_span_events(limits: object) -> Limits:
    """Return the limits for span events, from the limits of their span."""
    return _limits(
        _own(limits, "max_event_attributes", _EVENT_COUNT, _COUNT),
        _own(limits, "max_attribute_length", _LENGTH),
    )


def limits_of_spans(tracer: object) -> Limits:
    """Return the limits for spans."""
    limits = getattr(tracer, "_span_limits", None)
    return _limits(
        _own(limits, "max_span_attributes", _SPAN_COUNT, _COUNT),
        _own(limits, "max_span_attribute_length", _SPAN_LENGTH, _LENGTH),
    )


def warn_of_low_limits(environ: Mapping[str, str] = os.environ) -> None:
    """Log a warning if variables ask for limits that are too low for an event to be of use."""
    short = _set_below(UID_LENGTH, (_LENGTH, _LOG_LENGTH, _SPAN_LENGTH), environ)
    if short:
        logger.warning(
            "%s would cut unique ids, which have %d characters, and receivers would drop events as duplicates. The unique id, the "
            "name and the actor (user.*) of events are not cut; set a limit of %d or more.",
            ", ".join(short),
            UID_LENGTH,
            UID_LENGTH,
        )
    few = _set_below(MIN_ATTRIBUTES, (_COUNT, _LOG_COUNT, _EVENT_COUNT, _SPAN_COUNT), environ)
    if few:
        logger.warning(
            "%s: attributes of events are lost, because nothing fits beside the unique id, not even %s, which would have the rest. "
            "Set a limit of %d or more.",
            ", ".join(few),
            EVENT_OVERFLOW,
            MIN_ATTRIBUTES,
        )


def _set_below(least: int, variables: Iterable[str], environ: Mapping[str, str]) -> list[str]:
    """Return the variables that are set to a number below ``least``, each with its number."""
    limits = {name: _from_env(environ, name) for name in variables}
    return [f"{name}={limit}" for name, limit in limits.items() if limit is not None and limit < least]


def _limits(count: int | None, length: int | None) -> Limits:
    return Limits(
        count=MAX_ATTRIBUTES if count is None else max(1, min(count, MAX_ATTRIBUTES)),
        length=length if length is not None and length < UID_LENGTH else None,
    )


def _own(limits: object, name: str, *variables: str) -> int | None:
    """Return a limit of the SDK's object, which knows the environment; without an object, of the first variable that is set."""
    if hasattr(limits, name):
        limit = getattr(limits, name)
        return limit if isinstance(limit, int) else None
    found = (_from_env(os.environ, variable) for variable in variables)
    return next((limit for limit in found if limit is not None), None)


def _from_env(environ: Mapping[str, str], variable: str) -> int | None:
    text = environ.get(variable, "").strip()
    return int(text) if text.isdecimal() and len(text) < UID_LENGTH else None


class _Whole(str):
    """Text that the SDK cannot cut: each slice of it is the whole text, as a plain `str`."""

    __slots__ = ()

    def __getitem__(self, _: object) -> str:
        return str.__str__(self)


def _exempt(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return _Whole(value)
    return [_Whole(item) if isinstance(item, str) else item for item in value] if isinstance(value, list) else value


def limit_attributes(attributes: Attributes, limit: int = MAX_ATTRIBUTES) -> Attributes:
    """Return at most ``limit`` attributes: those beyond it are added to the overflow, which is one of them.

    The unique id comes first, and is kept even if nothing else can be. Then comes the name of a span event.
    """
    first = [name for name in (_UID, _NAME) if name in attributes]
    names = [*first, *(name for name in attributes if name not in first and name != EVENT_OVERFLOW)]
    room = max(1, limit - 1)
    kept = {name: attributes[name] for name in names[:room]}
    if limit > 1:
        if EVENT_OVERFLOW in attributes:
            kept[EVENT_OVERFLOW] = attributes[EVENT_OVERFLOW]
        add_overflow(kept, {name: attributes[name] for name in names[room:]})
    return kept
