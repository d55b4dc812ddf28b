"""Every name on the wire: constants that are their own documentation.

The names of this project start with ``heliograph.``; the others are those of the OpenTelemetry semantic conventions.
There is no convention for token operations yet (open-telemetry/semantic-conventions#4022), so those names stand
here alone, to be changed in one place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Self


class Name(str):
    """A name on the wire: a string that carries what it means.

    Attributes:
        brief: One sentence for the reference.
    """

    __slots__ = ("brief",)
    brief: str

    def __new__(cls, value: str, brief: str) -> Self:
        """A name, and what it means."""
        name = super().__new__(cls, value)
        name.brief = brief
        return name

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]  # what our __new__ takes, not what str's does
        return str(self), self.brief  # exporters copy what they are given


class AttributeName(Name):
    """The name of an attribute of a span, a span event, a log record or a metric."""

    __slots__ = ()


class SpanName(Name):
    """The name of a span."""

    __slots__ = ()


class MetricName(Name):
    """The name of a metric.

    Attributes:
        unit: Its unit, in UCUM.
    """

    __slots__ = ("unit",)
    unit: str

    def __new__(cls, value: str, brief: str, unit: str = "1") -> Self:
        """A name, what it means, and its unit."""
        name = super().__new__(cls, value, brief)
        name.unit = unit
        return name

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]  # see Name
        return str(self), self.brief, self.unit


SCOPE: Final = "heliograph"

EVENT_NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
"""What OpenTelemetry's naming policy lets an event, or a namespace, be called."""


def has_namespace(name: object) -> bool:
    """Whether it is a name as the naming policy wants it, below a namespace."""
    return isinstance(name, str) and "." in name and EVENT_NAME_PATTERN.fullmatch(name) is not None


LOG_RECORD_UID: Final = AttributeName(
    "log.record.uid",
    "UUIDv7 of the event: the same on its log record and its span event, sortable by time; drop duplicates by it.",
)
USER_ID: Final = AttributeName("user.id", "The actor's `id`, as a string.")
USER_NAME: Final = AttributeName("user.name", "The actor's `name`.")
USER_FULL_NAME: Final = AttributeName("user.full_name", "The actor's `full_name`.")
USER_ROLES: Final = AttributeName("user.roles", "The actor's `roles`, an array of strings.")
USER_EMAIL: Final = AttributeName("user.email", "The actor's `email`; left out unless `HELIOGRAPH_ACTOR` allows it.")
ACTOR: Final = AttributeName("heliograph.actor", "Prefix of the actor's other keys, each flattened below it.")
EVENT_CREATED: Final = AttributeName(
    "heliograph.event.created",
    "The event's `created` as text, where it is no time that OTLP can carry; the timestamp is then that of the call.",
)
EVENT_OVERFLOW: Final = AttributeName(
    "heliograph.event.overflow", "A JSON object of the attributes past the hundredth."
)
EVENT_VERSION: Final = AttributeName(
    "heliograph.event.version", "The version of the event's contract, where its class has one."
)
EVENT_VIOLATIONS: Final = AttributeName(
    "heliograph.event.violations",
    "What is wrong with the event by its own contract: each kind, with the path to the field; never a value.",
)
VIOLATION_KIND: Final = AttributeName(
    "heliograph.violation.kind",
    "`unplanned-event`, `required-missing`, `datatype-mismatch` or `constraint-violated`.",
)
EVENT_NAME: Final = AttributeName("otel.event.name", "The event's name, as an attribute of a metric.")
SIGNAL: Final = AttributeName("heliograph.signal", "The signal that failed: `log`, `span_event` or `span`.")
HOOK: Final = AttributeName("heliograph.hook", "The plugin hook that failed.")
ERROR_TYPE: Final = AttributeName("error.type", "The qualified name of the class of the exception.")
TOKEN_HANDLER: Final = AttributeName("heliograph.token.handler", "The `name` of the token handler.")
TOKEN_RESULT: Final = AttributeName(
    "heliograph.token.result",
    "`created`, `valid`, `invalid`, `expired`, `revoked`, `unrecognized` or `error`.",
)
OUTBOX_REASON: Final = AttributeName(
    "heliograph.outbox.reason",
    "Why: one of a closed set of words, like `outbox_full`, `throttled` or `bad_data`.",
)
DB_NAMESPACE: Final = AttributeName("db.namespace", "The database that an event of Datasette's core speaks of.")
DB_COLLECTION_NAME: Final = AttributeName(
    "db.collection.name", "The table that an event of Datasette's core speaks of."
)

TOKEN_CREATE: Final = SpanName("token.create", "A token handler creates a token. Kind INTERNAL.")
TOKEN_VERIFY: Final = SpanName(
    "token.verify", "A token handler verifies a token. Kind INTERNAL. A refused token is a result, not an error."
)

EVENTS: Final = MetricName("heliograph.events", "Events tracked, by event name.", "{event}")
VIOLATIONS: Final = MetricName(
    "heliograph.event.violations",
    "What was wrong with events by their contracts, by event name and kind.",
    "{violation}",
)
EMIT_FAILURES: Final = MetricName(
    "heliograph.emit.failures", "Events that a provider failed to take, by signal and error.", "{event}"
)
HOOK_FAILURES: Final = MetricName(
    "heliograph.hook.failures", "Calls of a plugin's hook that failed, by hook and error.", "{call}"
)
TOKEN_CREATE_DURATION: Final = MetricName(
    "heliograph.token.create.duration", "How long creating a token took, by handler and result.", "s"
)
TOKEN_VERIFY_DURATION: Final = MetricName(
    "heliograph.token.verify.duration", "How long verifying a token took, by handler and result.", "s"
)
OUTBOX_DEPTH: Final = MetricName(
    "heliograph.outbox.depth", "Records that wait in the outbox for this process to send them.", "{record}"
)
OUTBOX_SIZE: Final = MetricName(
    "heliograph.outbox.size", "How large the outbox is on the disk, with what other processes have in it.", "By"
)
OUTBOX_OLDEST_AGE: Final = MetricName(
    "heliograph.outbox.oldest.age", "How long ago the record was made that waits longest; 0 when none waits.", "s"
)
OUTBOX_ACCEPTED: Final = MetricName("heliograph.outbox.accepted", "Records that the outbox accepted.", "{record}")
OUTBOX_DELIVERED: Final = MetricName(
    "heliograph.outbox.delivered", "Records that a server took, those of earlier processes too.", "{record}"
)
OUTBOX_REJECTED: Final = MetricName(
    "heliograph.outbox.rejected",
    "Records that are not delivered, and told so: there was no room for them (`outbox_full`), they were given up for newer "
    "ones (`dropped_oldest`), or the server took the request without them (`partial_success`).",
    "{record}",
)
OUTBOX_RETRIED: Final = MetricName(
    "heliograph.outbox.retried", "Requests that were not answered for and are sent again, by reason.", "{request}"
)
OUTBOX_DEAD: Final = MetricName(
    "heliograph.outbox.dead", "Records that went to the dead letters, by reason.", "{record}"
)
OUTBOX_DAMAGED: Final = MetricName(
    "heliograph.outbox.damaged", "Records of the outbox that could not be read.", "{record}"
)

DURATION_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Boundaries of the duration histograms, in seconds: from an HMAC to a token service far away."""

ACTOR_ATTRIBUTES: Final = {
    "id": USER_ID,
    "name": USER_NAME,
    "full_name": USER_FULL_NAME,
    "roles": USER_ROLES,
    "email": USER_EMAIL,
}
"""The actor's keys that have a name in the semantic conventions; the others go below `heliograph.actor`."""

ACTOR_SECRETS: Final = frozenset({"token", "token_expires", "_r"})
"""The actor's keys that never leave, whatever the settings say."""


def actor_attribute(key: str) -> str:
    """The attribute that the actor's key becomes."""
    return ACTOR_ATTRIBUTES.get(key) or f"{ACTOR}.{key}"
