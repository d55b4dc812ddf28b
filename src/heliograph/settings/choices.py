"""The possible values of the settings that have a closed set of them."""

from __future__ import annotations

import enum
import hashlib
from typing import Final

SIGNED: Final = "signed"
"""The name of the built-in handler of signed tokens."""
DATABASE: Final = "database"
"""The name of the built-in handler of tokens in a database."""
DIGESTS: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
"""The hash functions of signatures, by name. Datasette uses SHA-1, which is safe in an HMAC, but forbidden by some rules."""


class Signal(str, enum.Enum):
    """The signals that an event can be emitted as."""

    LOG = "log"
    """A log record with an EventName."""
    SPAN_EVENT = "span_event"
    """A span event on the current span, if that span is recording."""
    SPAN = "span"
    """A span of zero length, if no span event was added: for backends that store only traces."""


class SpanEventContent(str, enum.Enum):
    """The attributes of a span event."""

    FULL = "full"
    """The same attributes as the log record: for backends that store only traces, and for people who read them."""
    REFERENCE = "reference"
    """Only the unique id and the name, by which the log record can be found. An event without a log record has all attributes."""


class Validation(str, enum.Enum):
    """The treatment of an event that violates its schema."""

    OFF = "off"
    """Events are not checked."""
    WARN = "warn"
    """The event is emitted, with its violations in an attribute."""
    QUARANTINE = "quarantine"
    """The event is set aside, with its violations. It can be replayed once its class is fixed."""
    STRICT = "strict"
    """`track` raises `InvalidEvent`, before any hook is called."""


class OutboxSync(str, enum.Enum):
    """The failures that a record in the outbox survives, from the moment when it was emitted."""

    NORMAL = "normal"
    """The process dies."""
    FULL = "full"
    """The process dies, or the power fails."""


class OutboxWrite(str, enum.Enum):
    """The way in which the outbox writes its files."""

    AUTO = "auto"
    """A memory map, if the directory's file system guarantees that writing to reserved space succeeds; otherwise system calls."""
    MAP = "map"
    """A memory map, which is the fastest way. Truncating a file that is in use kills the process that has mapped it."""
    PWRITE = "pwrite"
    """System calls: slower, and safe on every file system."""


class OutboxFullPolicy(str, enum.Enum):
    """The treatment of records when the outbox has reached its maximum size."""

    REJECT = "reject"
    """New records are rejected."""
    DROP_OLDEST = "drop_oldest"
    """The oldest records are deleted."""
