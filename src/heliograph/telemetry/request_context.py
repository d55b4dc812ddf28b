"""Export attributes of the current request: those that the setting ``HELIOGRAPH_CONTEXT`` names.

The request is the one that the event is tracked in. Its `RequestActor` knows the attributes, which are read when an event is emitted: a
route is known only after the middleware. An event whose class declares an attribute of the same name keeps that one, also
where it is empty, so that an attribute of a class always means one thing.

A client chooses most of the values. They are cut, and a token of the built-in handlers in them is masked: somebody may put one into a path.
"""

from __future__ import annotations

import re
from typing import Final

from heliograph.ambient_actor import RequestActor, current_request
from heliograph.classes import qualified_name
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.read.event import EventReader
from heliograph.semconv import HTTP_REQUEST_METHOD, SCOPE
from heliograph.telemetry.actor_attributes import BUILT_IN_TOKENS
from heliograph.values.attributes import Attributes
from heliograph.values.privacy import MASKED, PrivacyPolicy
from heliograph.values.text import escape_surrogates

MAX_LENGTH: Final = 1024
"""The maximum number of characters of a value."""
METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
"""The methods that HTTP defines. Source: OpenTelemetry semantic conventions, HTTP spans."""
OTHER_METHOD: Final = "_OTHER"

_TOKEN: Final = re.compile(rf"(?:{'|'.join(BUILT_IN_TOKENS)})_[^/\s]*")

logger: Final = SafeLogger(SCOPE)


class RequestContext:
    """Exports attributes of the current request. Any number of threads may use one object at once.

    Args:
        names: The names of the attributes.
        policy: Excludes the attributes that are opted out of.

    Attributes:
        names: The names of the attributes that are exported.
    """

    def __init__(self, names: tuple[str, ...], policy: PrivacyPolicy) -> None:
        # Dicts are slower with keys of a subclass of str.
        self.names = tuple(str(name) for name in policy.without_opted_out(dict.fromkeys(names)))
        self._failures = LimitedLog(logger)

    def put(self, attributes: Attributes, reader: EventReader) -> None:
        """Add the attributes of the current request, if there is one, to those of an event.

        Args:
            attributes: The attributes to add to.
            reader: The reader of the event's class.
        """
        request = current_request() if self.names else None
        if request is None:
            return
        for name in self.names:
            if name not in attributes and name not in reader.declared:
                value = self._read(request, name)
                if value is not None:
                    attributes[name] = value

    def _read(self, request: RequestActor, name: str) -> str | None:
        try:
            return exported_value(name, request.attribute(name))
        except program_errors() as error:
            # A framework's own objects may raise anything.
            report(ProgramCode.REQUEST, error)
            # The text of the exception is left out, because it may contain a private value.
            kind = qualified_name(error)
            self._failures.log((name, kind), "The attribute %s of a request cannot be read: %s", name, kind)
            return None


def exported_value(name: str, value: object) -> str | None:
    """Return the exported part of an attribute of a request, or `None` if there is none.

    Args:
        name: The name of the attribute.
        value: Its value, as the framework has it. Anything but text is not exported.
    """
    if type(value) is not str or not value:
        return None
    if name == HTTP_REQUEST_METHOD:
        return value if value in METHODS else OTHER_METHOD
    # The cut comes first, so that a long value costs no more than a short one.
    return escape_surrogates(_TOKEN.sub(MASKED, value[:MAX_LENGTH]))
