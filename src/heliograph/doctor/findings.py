"""The problems that the doctor finds. Their ids are stable: an id is never used for another problem.

``docs/generate.py`` writes the table of ``docs/doctor.md`` from `KINDS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of problem, or of information that is not a problem.

    Attributes:
        id: The stable id, such as ``H010``.
        title: The problem, in a few words.
        fix: The fix, in one or two sentences.
        is_problem: False if it is only information. Only problems change the exit status.
    """

    id: str
    title: str
    fix: str
    is_problem: bool = True


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A problem that was found.

    Attributes:
        kind: The kind.
        subject: The signal, or ``settings``, or ``environment``.
        detail: The facts of this case.
    """

    kind: Kind
    subject: str
    detail: str


WRONG_SETTING: Final = Kind(
    id="H001", title="A setting of heliograph cannot be used", fix="Correct the setting as the message says."
)
WRONG_VARIABLE: Final = Kind(
    id="H002",
    title="A variable of OpenTelemetry cannot be used",
    fix="Correct the variable as the message says. Until then, `configure()` raises SettingsError, and Datasette does not start.",
)
DISABLED: Final = Kind(
    id="H003",
    title="Telemetry is switched off",
    fix="Remove OTEL_SDK_DISABLED. Nothing is exported while it is `true`.",
)
CONFIG_FILE: Final = Kind(
    id="H004",
    title="A configuration file selects the endpoints",
    fix="The endpoints in the file of OTEL_CONFIG_FILE are tested. Other OTEL_* variables have an effect only where the file refers to "
    "them, or does not set an endpoint or headers.",
    is_problem=False,
)
NOTHING_TESTED: Final = Kind(
    id="H005",
    title="No signal has an OTLP endpoint",
    fix="Remove OTEL_TRACES_EXPORTER, OTEL_LOGS_EXPORTER and OTEL_METRICS_EXPORTER, or set one of them to `otlp`.",
)
NOT_EXPORTED: Final = Kind(
    id="H006",
    title="A signal is not exported",
    fix="If this is not intended, remove `none` from the variable.",
    is_problem=False,
)
NOT_OTLP_EXPORTER: Final = Kind(
    id="H007",
    title="A signal is not exported by OTLP",
    fix="The doctor tests OTLP only. Look at the place that this exporter writes to.",
    is_problem=False,
)
NO_SCHEME: Final = Kind(
    id="H010",
    title="The endpoint has no scheme",
    fix="Write http:// or https:// before the host, as in http://localhost:4318.",
)
PATH_IN_BASE: Final = Kind(
    id="H011",
    title="The base URL contains the path of a signal",
    fix="Remove /v1/… from OTEL_EXPORTER_OTLP_ENDPOINT: the path is appended to it.",
)
NOT_SAMPLED: Final = Kind(
    id="H012",
    title="The sampler drops all traces",
    fix="Remove OTEL_TRACES_SAMPLER, or set it to parentbased_always_on.",
)
SPANS_STAY: Final = Kind(
    id="H013",
    title="Another plugin of Datasette receives the spans",
    fix="Install datasette-otel-otlp-exporter, or list the plugins to load in DATASETTE_LOAD_PLUGINS without that plugin. If this is intended, "
    "set OTEL_TRACES_EXPORTER=none.",
)
NOT_ASKED: Final = Kind(
    id="H014",
    title="Nothing asks Datasette's plugin to export",
    fix="Set OTEL_EXPORTER_OTLP_ENDPOINT where Datasette starts. In Datasette, the default endpoint is not used without it.",
)
NOT_STARTED: Final = Kind(
    id="H015",
    title="Datasette does not start",
    fix="Correct what the message names. The rest of the report is only about the environment.",
)
NOT_LOADED: Final = Kind(
    id="H016",
    title="Datasette does not load heliograph's plugin",
    fix="Add heliograph to DATASETTE_LOAD_PLUGINS, or remove that variable.",
)
UNREACHABLE: Final = Kind(
    id="H020",
    title="The endpoint cannot be reached",
    fix="Start the backend, or correct host and port. In a container, localhost is the container itself.",
)
TIMED_OUT: Final = Kind(
    id="H021",
    title="The endpoint does not respond in time",
    fix="Look for a firewall that drops packets, and for a wrong port.",
)
HTTP_TO_GRPC: Final = Kind(
    id="H022",
    title="A port of gRPC is used with HTTP",
    fix="Use the port for HTTP (usually 4318), or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc.",
)
GRPC_TO_HTTP: Final = Kind(
    id="H023",
    title="A port of HTTP is used with gRPC",
    fix="Use the port for gRPC (usually 4317), or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf.",
)
TLS_FAILED: Final = Kind(
    id="H024",
    title="TLS fails: a certificate is not trusted, has another name, or is required of the client",
    fix="Name the certificate of the authority in OTEL_EXPORTER_OTLP_CERTIFICATE, and the client's own in "
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY if the server asks for one.",
)
NO_TLS: Final = Kind(
    id="H025",
    title="TLS is used for a port without TLS",
    fix="Write http:// instead of https://. An endpoint of gRPC without a scheme uses TLS, unless OTEL_EXPORTER_OTLP_INSECURE=true.",
)
NEEDS_TLS: Final = Kind(
    id="H026",
    title="The port needs TLS",
    fix="Write https:// instead of http://.",
)
PROXY_FAILED: Final = Kind(
    id="H027",
    title="The proxy refuses the connection",
    fix="Correct HTTPS_PROXY or HTTP_PROXY, or list the host of the endpoint in NO_PROXY.",
)
UNAUTHENTICATED: Final = Kind(
    id="H030",
    title="The credentials are missing or wrong",
    fix="Set OTEL_EXPORTER_OTLP_HEADERS as the backend asks, as in authorization=Bearer%20TOKEN.",
)
FORBIDDEN: Final = Kind(
    id="H031",
    title="The credentials do not allow this",
    fix="Ask the backend's operator for credentials that may write this signal.",
)
PATH_TWICE: Final = Kind(
    id="H032",
    title="The path of the signal is in the URL twice",
    fix="Remove /v1/… from the endpoint, because it is appended to it.",
)
NO_RECEIVER: Final = Kind(
    id="H033",
    title="No receiver of OTLP is at this URL",
    fix="Correct the path. Most receivers use the base URL http://HOST:4318, to which /v1/… is appended. A variable of one signal, such as "
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT, needs the whole path.",
)
SIGNAL_NOT_ACCEPTED: Final = Kind(
    id="H034",
    title="The backend accepts other signals, but not this one",
    fix="Send this signal to a backend that stores it (with a variable such as OTEL_EXPORTER_OTLP_LOGS_ENDPOINT), or set its exporter to `none`. "
    "Without logs, events are still in the traces, as span events.",
)
REDIRECTED: Final = Kind(
    id="H035",
    title="The server redirects",
    fix="Use the URL that the server redirects to. Exporters do not follow redirects, because of the credentials.",
)
WEB_PAGE: Final = Kind(
    id="H036",
    title="Another service responds, with a success that is not OTLP's",
    fix="Correct the port or the path: exporters would take this response for a success, and everything would be lost.",
)
UNAVAILABLE: Final = Kind(
    id="H037",
    title="The backend can be reached, but fails or is overloaded",
    fix="Read the backend's own log. Exporters try again for a while; an outbox (HELIOGRAPH_OUTBOX) keeps log records and spans until it works.",
)
REJECTED: Final = Kind(
    id="H038",
    title="The backend rejects the test record",
    fix="Read the message of the backend: it accepts requests, but not this data.",
)
REFUSED: Final = Kind(
    id="H039",
    title="The backend refuses the request",
    fix="Read the message of the backend.",
)
NOT_STORED: Final = Kind(
    id="H040",
    title="The test record is not stored",
    fix="Look for what is between the endpoint and the backend: a Collector without this pipeline, a filter, a sampler, a full queue, another "
    "tenant. If a Collector collects batches, use a longer --timeout.",
)
NAME_DROPPED: Final = Kind(
    id="H041",
    title="The backend drops the name of the event",
    fix="Let a Collector copy it to an attribute: in a transform processor, context log, "
    'set(attributes["event_name"], event_name) where event_name != "".',
)
NO_QUERY_API: Final = Kind(
    id="H042",
    title="The backend cannot be queried",
    fix="Name the base URL of its query API, such as http://localhost:16686 for Jaeger, and its kind with --backend.",
)

KINDS: Final = tuple(
    sorted((each for each in list(vars().values()) if isinstance(each, Kind)), key=lambda kind: kind.id)
)
"""Every kind, by id."""
