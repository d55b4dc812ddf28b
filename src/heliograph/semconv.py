"""Every name on the wire, as a string constant that carries its own documentation.

The attributes and metrics of this project start with ``heliograph.``. Other attributes come from the OpenTelemetry semantic
conventions. These have no convention for token operations yet (open-telemetry/semantic-conventions#4022), so the names of their
spans are this project's own, too.

``docs/generate.py`` writes ``docs/wire.md`` from these constants, and ``tests/test_conformance.py`` compares them with the
telemetry of a real workload, in both directions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Self


class Name(str):
    """A name on the wire: a string with its documentation.

    Attributes:
        brief: The documentation of the name, in one or two sentences.
    """

    __slots__ = ("brief",)
    brief: str

    def __new__(cls, value: str, brief: str) -> Self:
        """Create a name from its text and its documentation."""
        name = super().__new__(cls, value)
        name.brief = brief
        return name

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]  # the arguments of our __new__, not of str's
        return str(self), self.brief  # exporters copy attributes


class AttributeName(Name):
    """The name of an attribute of a span, a span event, a log record or a metric."""

    __slots__ = ()


class SpanName(Name):
    """The name of a span."""

    __slots__ = ()


class MetricName(Name):
    """The name of a metric.

    Attributes:
        unit: The unit of its values, in UCUM.
    """

    __slots__ = ("unit",)
    unit: str

    def __new__(cls, value: str, brief: str, unit: str = "1") -> Self:
        """Create a name from its text, its documentation and its unit."""
        name = super().__new__(cls, value, brief)
        name.unit = unit
        return name

    def __getnewargs__(self) -> tuple[str, ...]:  # type: ignore[override]  # see Name
        return str(self), self.brief, self.unit


SCOPE: Final = "heliograph"
"""The name of the instrumentation scope, and of the logger that heliograph itself logs to."""

LOST_SCOPE_NAME: Final = "heliograph.outbox"
"""The name of the instrumentation scope of records whose own scope was damaged in the outbox."""

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The schema URL of the instrumentation scope: the version of the semantic conventions that the names below are from."""

EVENT_NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
"""Valid names of events and namespaces. Source: OpenTelemetry semantic conventions, naming."""


def has_namespace(name: object) -> bool:
    """Return True if the name is valid and has a namespace, such as ``app.order``."""
    return isinstance(name, str) and "." in name and EVENT_NAME_PATTERN.fullmatch(name) is not None


_LEGAL_WORDS: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_WORD_STARTS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def attribute_part(field_name: str) -> str:
    """Return the name of a field as a part of an attribute's name, by OpenTelemetry's naming rules.

    They permit lower-case words separated by ``_``. A name with other letters than ASCII remains as it is.

    Source: OpenTelemetry, "Naming"; Weaver reports a name that breaks its rule as a violation.

    >>> attribute_part("first_name"), attribute_part("firstName"), attribute_part("HTTPStatus"), attribute_part("class_")
    ('first_name', 'first_name', 'http_status', 'class')
    """
    if _LEGAL_WORDS.fullmatch(field_name):
        return field_name
    words = re.sub("_+", "_", _WORD_STARTS.sub("_", field_name).lower()).strip("_")
    return words if _LEGAL_WORDS.fullmatch(words) else field_name


LOG_RECORD_UID: Final = AttributeName(
    "log.record.uid",
    "The unique id of the event, a UUIDv7, which sorts by time. The log record and the span event of one event have the same id. "
    "An event may arrive twice: a receiver finds duplicates by this id.",
)
USER_ID: Final = AttributeName("user.id", "The `id` of the actor, as a string.")
USER_NAME: Final = AttributeName("user.name", "The `name` of the actor.")
USER_FULL_NAME: Final = AttributeName("user.full_name", "The `full_name` of the actor.")
USER_HASH: Final = AttributeName(
    "user.hash", "The hash of the actor's `id`, in place of `user.id`, if `HELIOGRAPH_ACTOR` contains `id:hash`."
)
USER_ROLES: Final = AttributeName("user.roles", "The `roles` of the actor, always as an array of strings.")
USER_EMAIL: Final = AttributeName(
    "user.email", "The `email` of the actor. Exported only if `HELIOGRAPH_ACTOR` allows it."
)
ACTOR: Final = AttributeName(
    "heliograph.actor", "Prefix of the other keys of the actor: its `team` is `heliograph.actor.team`."
)
EVENT_CREATED: Final = AttributeName(
    "heliograph.event.created",
    "The `created` of the event as text, if OTLP cannot represent it. The timestamp is then the time of the call.",
)
EVENT_OVERFLOW: Final = AttributeName(
    "heliograph.event.overflow",
    "A JSON object, by the names of attributes: attributes beyond the limit (100, or less if the SDK's own limit is lower), and "
    "what a dict holds under keys that cannot be part of a name.",
)
EVENT_VERSION: Final = AttributeName(
    "heliograph.event.version", "The version of the event's schema, if its class declares one."
)
EVENT_VIOLATIONS: Final = AttributeName(
    "heliograph.event.violations",
    "The violations of the schema by the event: the kind of each and the path to the field, never a value.",
)
VIOLATION_KIND: Final = AttributeName(
    "heliograph.violation.kind",
    "The kind of a violation: `unplanned-event`, `required-missing`, `datatype-mismatch` or `constraint-violated`.",
)
EVENT_NAME: Final = AttributeName(
    "otel.event.name",
    "The name of the event, as an attribute of a span event, because Jaeger searches attributes and never the names of span events, and "
    "of a metric. A log record has an EventName instead.",
)
SIGNAL: Final = AttributeName(
    "heliograph.signal", "The signal that an event was not emitted as: `log`, `span_event` or `span`."
)
FAILED_CODE: Final = AttributeName(
    "heliograph.failed.code",
    "The code of the program that failed: `actor`, `created` or `properties` of an event, the metaclass of an `event_class`, a function that "
    "was passed to `acting_as` or `default_actor`, the framework that knows the `request`, or a filter or handler of its `logging`.",
)
HOOK: Final = AttributeName("heliograph.hook", "The name of the plugin hook that failed.")
ERROR_TYPE: Final = AttributeName(
    "error.type",
    "The class of the exception, with its module unless it is built in: `OSError`, `sqlite3.OperationalError`. After 100 different "
    "ones, it is `_OTHER`.",
)
TOKEN_HANDLER: Final = AttributeName(
    "heliograph.token.handler",
    "The `name` of the token handler: the one that created the token, or that decided about it.",
)
TOKEN_ID: Final = AttributeName(
    "heliograph.token.id",
    "The id of the token that was verified or created, or that the event was made with. It is not secret: it cannot be used as a token. A "
    "signed token has the first 12 digits of a hash. An event about a token that was made without one has the id of that token.",
)
TOKEN_TARGET_ID: Final = AttributeName(
    "heliograph.token.target.id",
    "The id of the token that an event is about. It differs from `heliograph.token.id` if another token was used to create, revoke or rotate "
    "it.",
)
TOKEN_KEY_NUMBER: Final = AttributeName(
    "heliograph.token.key_number",
    "The number of the key that signed a valid token, in `HELIOGRAPH_SECRET`: 0 is the newest. An old key can be removed when its number is "
    "not seen any more. Not in Datasette, which has one key.",
)
TOKEN_RESULT: Final = AttributeName(
    "heliograph.token.result",
    "The result of the operation: `created`; `valid`; `invalid`, `expired` or `revoked` if a handler rejected the token; "
    "`unrecognized` if no handler knows it; `error` if a handler failed.",
)
OUTBOX_REASON: Final = AttributeName(
    "heliograph.outbox.reason",
    "The reason, from a closed set of words such as `outbox_full`, `throttled` and `bad_data`.",
)
OUTBOX_SIGNAL: Final = AttributeName(
    "heliograph.outbox.signal",
    "The signal of the records: `logs` (log records) or `traces` (spans). The metrics count each by itself.",
)
CLIENT_ADDRESS: Final = AttributeName(
    "client.address",
    "The address of the client of the current request, as its connection has it. Exported only if `HELIOGRAPH_CONTEXT` has the name.",
)
HTTP_REQUEST_METHOD: Final = AttributeName(
    "http.request.method",
    "The method of the current request, or `_OTHER` if HTTP does not define it. On the SERVER span, and on events if "
    "`HELIOGRAPH_CONTEXT` has the name.",
)
HTTP_REQUEST_METHOD_ORIGINAL: Final = AttributeName(
    "http.request.method_original",
    "The method of a request whose `http.request.method` is `_OTHER`, on its SERVER span.",
)
HTTP_RESPONSE_STATUS_CODE: Final = AttributeName(
    "http.response.status_code", "The status of the response, on the SERVER span of the request."
)
HTTP_ROUTE: Final = AttributeName(
    "http.route",
    "The route of the current request, as the framework writes it, such as `/users/{id}`. On the SERVER span, and on events if "
    "`HELIOGRAPH_CONTEXT` has the name.",
)
URL_PATH: Final = AttributeName(
    "url.path",
    "The path of the current request, without the query. On the SERVER span, and on events if `HELIOGRAPH_CONTEXT` has the name.",
)
URL_SCHEME: Final = AttributeName("url.scheme", "`http` or `https`, on the SERVER span of a request.")
USER_AGENT_ORIGINAL: Final = AttributeName(
    "user_agent.original",
    "The header `User-Agent` of the current request. Exported only if `HELIOGRAPH_CONTEXT` has the name.",
)
DB_NAMESPACE: Final = AttributeName("db.namespace", "The `database` of an event of Datasette's core.")
DB_COLLECTION_NAME: Final = AttributeName("db.collection.name", "The `table` of an event of Datasette's core.")

TOKEN_CREATE: Final = SpanName("token.create", "A token handler creates a token. Kind INTERNAL.")
TOKEN_VERIFY: Final = SpanName(
    "token.verify",
    "A host verifies a token: all of its handlers are asked in turn, until one decides. Kind INTERNAL. A rejected token is a result, not "
    "an error.",
)

EVENTS: Final = MetricName(
    "heliograph.events",
    "Events tracked, without those in the quarantine, by event name. Begins at 0 for each registered event.",
    "{event}",
)
VIOLATIONS: Final = MetricName(
    "heliograph.event.violations",
    "Violations of schemas by events, by kind and event name. Begins at 0 for each kind, without an event name.",
    "{violation}",
)
EMIT_FAILURES: Final = MetricName(
    "heliograph.emit.failures",
    "Exceptions that were caught while events were emitted, by type, and by the signal whose provider raised it or else by the code of the "
    "program that did. Begins at 0 for each signal and for each kind of code, without a type.",
    "{failure}",
)
HOOK_FAILURES: Final = MetricName(
    "heliograph.hook.failures",
    "Calls of plugin hooks that failed, by hook and type of the exception. Begins at 0 for each hook, without a type.",
    "{failure}",
)
TOKEN_CREATE_DURATION: Final = MetricName(
    "heliograph.token.create.duration", "Time to create a token, by handler and result.", "s"
)
TOKEN_VERIFY_DURATION: Final = MetricName(
    "heliograph.token.verify.duration", "Time to verify a token, by handler and result.", "s"
)
TOKEN_VERIFICATIONS: Final = MetricName(
    "heliograph.token.verifications",
    "Verifications of tokens, by result and handler. Begins at 0 for each result, without a handler.",
    "{verification}",
)
OWN_EVENTS: Final = frozenset(
    f"{SCOPE}.token_{verb}" for verb in ("created", "first_used", "rejected", "revoked", "rotated")
)
"""The names of heliograph's own events; `heliograph.tokens.events` has their classes."""

OUTBOX_DEPTH: Final = MetricName(
    "heliograph.outbox.depth", "Records in the outbox that this process has yet to send.", "{record}"
)
OUTBOX_SIZE: Final = MetricName(
    "heliograph.outbox.size", "Size of the outbox on disk, including the folders of other processes.", "By"
)
OUTBOX_OLDEST_AGE: Final = MetricName(
    "heliograph.outbox.oldest.age",
    "Age of the oldest record that this process has yet to send; 0 if there is none.",
    "s",
)
OUTBOX_ACCEPTED: Final = MetricName("heliograph.outbox.accepted", "Records that the outbox accepted.", "{record}")
OUTBOX_DELIVERED: Final = MetricName(
    "heliograph.outbox.delivered",
    "Records that a server accepted, including records of processes that have ended.",
    "{record}",
)
OUTBOX_REJECTED: Final = MetricName(
    "heliograph.outbox.rejected",
    "Records that are not delivered: the outbox was full (`outbox_full`), the disk failed and the memory was full (`memory_full`), they "
    "were emitted after `shutdown`, or were in memory then and could not be written to the disk (`shut_down`), they were deleted to make room for newer ones (`dropped_oldest`), or the server "
    "accepted their request without them (`partial_success`).",
    "{record}",
)
OUTBOX_RETRIED: Final = MetricName(
    "heliograph.outbox.retried", "Requests that no server accepted and that are sent again, by reason.", "{request}"
)
OUTBOX_DEAD: Final = MetricName("heliograph.outbox.dead", "Records that became dead letters, by reason.", "{record}")
OUTBOX_DAMAGED: Final = MetricName(
    "heliograph.outbox.damaged",
    "Records of the outbox that are damaged or deleted and cannot be read, or that are sent without their damaged scope.",
    "{record}",
)

DURATION_BUCKETS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Bucket boundaries of the duration histograms, in seconds: from one HMAC (0.1 ms) to a remote token service (2.5 s)."""

ACTOR_ATTRIBUTES: Final = {
    "id": USER_ID,
    "name": USER_NAME,
    "full_name": USER_FULL_NAME,
    "roles": USER_ROLES,
    "email": USER_EMAIL,
}
"""The keys of an actor that have an attribute in the semantic conventions. All others are exported below `heliograph.actor`."""

REQUEST_ATTRIBUTES: Final = (CLIENT_ADDRESS, HTTP_REQUEST_METHOD, HTTP_ROUTE, URL_PATH, USER_AGENT_ORIGINAL)
"""The attributes of the current request that events may have, sorted: the names that the setting ``HELIOGRAPH_CONTEXT`` allows.

The conventions for HTTP servers have more. The query and headers often carry secrets, and what is the same for all requests to a process,
such as the address of the server, belongs to the resource.
"""

ACTOR_ONLY: Final = frozenset(map(str, (*ACTOR_ATTRIBUTES.values(), USER_HASH)))
"""The attributes that always mean the actor. A field that declares one of them is exported below the event's name."""

ACTOR_SECRETS: Final = frozenset({"token", "token_expires", "_r"})
"""The keys of an actor that are never exported, whatever the settings: credentials, and details of them."""
RESERVED_EVENT_NAME: Final = "log.record"
"""The name that no event can have: the attribute of a property `uid` would be `log.record.uid`, the unique id."""


def actor_attribute(key: str) -> str:
    """Return the name of the attribute for a key of an actor."""
    return ACTOR_ATTRIBUTES.get(key) or f"{ACTOR}.{key}"
