"""Pass failures of the program's code from the modules that catch them to the metrics that count them.

Modules that call code of the program know nothing of metrics, such as `heliograph.ambient_actor`. They report its failures here, and
the metrics listen.

Any thread, and signal handlers, may report and listen at once. A listener is added and removed in one step, and the list is copied
before it is read.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from typing import Final, TypeAlias

from heliograph.runtime.weak_methods import weak_method


class ProgramCode(str, enum.Enum):
    """The kinds of code whose failures are counted. The values are on the wire."""

    ACTOR = "actor"
    """An actor's own code, such as that of a lazy user, or the property ``actor`` of an event."""
    CREATED = "created"
    """The property ``created`` of an event."""
    PROPERTIES = "properties"
    """The function ``properties`` of an event without a schema."""
    EVENT_CLASS = "event_class"
    """The metaclass of an event class."""
    ACTING_AS = "acting_as"
    """A function that was passed to ``acting_as`` or ``set_actor``."""
    DEFAULT_ACTOR = "default_actor"
    """A function that was passed to ``default_actor``, or the framework that an integration asks for the user."""
    REQUEST = "request"
    """The framework that an integration asks for an attribute of the request."""
    LOGGING = "logging"
    """A filter or a handler of the program's log."""


Listener: TypeAlias = Callable[[ProgramCode, BaseException], None]

_listeners: Final[list[Callable[[], Listener | None]]] = []


def listen(method: Listener) -> None:
    """Call a bound method for each failure from now on, as long as the method's object lives."""
    for reference in tuple(_listeners):
        if reference() is None:
            # Another thread may just have removed it.
            with contextlib.suppress(ValueError):
                _listeners.remove(reference)
    _listeners.append(weak_method(method))


def report(code: ProgramCode, error: BaseException) -> None:
    """Report a failure of the program's code, which was caught."""
    for reference in tuple(_listeners):
        listener = reference()
        if listener is not None:
            listener(code, error)
