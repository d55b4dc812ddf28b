"""Read the destination of requests from the standard ``OTEL_EXPORTER_OTLP_*`` environment variables, for the outbox and `heliograph doctor`.

Sources: OpenTelemetry specification, OTLP exporter configuration and endpoint URLs; environment variable specification
(a timeout is in milliseconds, and 0 means no limit).

A variable of a signal (``OTEL_EXPORTER_OTLP_LOGS_*``) replaces the common one (``OTEL_EXPORTER_OTLP_*``) as a
whole: lists of headers are not merged. An empty variable counts as unset.

Proxies, and the certificates to trust if no variable of OpenTelemetry names any, are found as by `requests`, which the SDK's exporters
use. So a program that begins to use an outbox reaches the same server in the same way.

Every problem is collected, and all are reported in one `SettingsError`. A message names the variable, and never shows a
value that may be a credential: a header, or a URL.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote

from heliograph.delivery.transport.destination import (
    DEFAULT_TIMEOUT_SECONDS,
    Destination,
    Headers,
    OtlpProtocol,
)
from heliograph.delivery.transport.endpoint import (
    grpc_endpoint,
    http_endpoint,
    other_host,
    other_port,
    proxy_for,
    proxy_url,
)
from heliograph.delivery.transport.exporter_variables import COMMON_ENDPOINT, find_variable
from heliograph.errors import SettingsError

T = TypeVar("T")

ALLOW_PLAINTEXT: Final = "HELIOGRAPH_OUTBOX_ALLOW_PLAINTEXT"
LONGEST_TIMEOUT_SECONDS: Final = 60 * 60.0
SHORTEST_TIMEOUT_MILLIS: Final = 100

_CA_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_MAX_DIGITS: Final = 12
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_METADATA_KEY: Final = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")
_TRANSPORT_HEADERS: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "expect", "keep-alive", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that the transport sets itself. A second one from the environment would make the request ambiguous."""


def destination_from_env(
    environ: Mapping[str, str] | None = None, *, allow_plaintext: bool = False, signal: str = "logs"
) -> Destination:
    """Return the destination that the environment describes.

    Args:
        environ: The environment variables; `None` means those of the process.
        allow_plaintext: True if credentials may be sent over plain HTTP to another host.
        signal: The signal: ``logs``, ``traces`` or ``metrics``.

    Raises:
        SettingsError: At least one variable cannot be used. The error lists every problem.
    """
    variables = _OtlpVariables(os.environ if environ is None else environ, signal)
    destination = _read_destination(variables)
    if destination is not None and not (allow_plaintext or _protects_credentials(destination)):
        variables.problems.append(
            f"{variables.find('ENDPOINT')[0]}: credentials (headers, or a query) are not sent unencrypted to another "
            f"host; use https, or set {ALLOW_PLAINTEXT}=true"
        )
    if variables.problems or destination is None:
        raise SettingsError(variables.problems)
    return destination


class _OtlpVariables:
    """Parses environment variables of the OTLP exporter, and collects the problems.

    Args:
        environ: The environment variables.
        signal: The signal.

    Attributes:
        problems: One sentence for each variable that cannot be used.
    """

    def __init__(self, environ: Mapping[str, str], signal: str) -> None:
        self.environ = environ
        self.signal = signal
        self.problems: list[str] = []

    def find(self, name: str) -> tuple[str, str | None]:
        """Return the variable that applies to the signal, and its value; see `find_variable`."""
        return find_variable(name, self.signal, self.environ)

    def parse(self, name: str, parser: Callable[[str], T], default: T) -> T:
        """Return the parsed value of the variable that applies, as `parse_variable` does."""
        return self.parse_variable(self.find(name)[0], parser, default)

    def parse_variable(self, variable: str, parser: Callable[[str], T], default: T) -> T:
        """Return the parsed value of a variable. Return the default if it is unset, or note a problem if it is invalid."""
        value = self.environ.get(variable, "").strip()
        if not value:
            return default
        try:
            return parser(value)
        except ValueError as error:
            self.problems.append(f"{variable}: {error}")
            return default


def _read_destination(variables: _OtlpVariables) -> Destination | None:
    """Return the destination, or `None` if the endpoint cannot be used. Each value is read, to find every problem."""
    protocol = variables.parse("PROTOCOL", _parse_protocol, OtlpProtocol.HTTP)
    insecure = variables.parse("INSECURE", _parse_boolean, False)
    url = _read_endpoint(variables, protocol)
    headers = variables.parse("HEADERS", lambda value: parse_headers(value, protocol), Headers())
    timeout_seconds = variables.parse(
        "TIMEOUT", lambda value: _parse_timeout(value, variables.signal), DEFAULT_TIMEOUT_SECONDS
    )
    gzip = variables.parse("COMPRESSION", _parse_compression, False)
    ca_file = variables.parse("CERTIFICATE", lambda value: _parse_ca(value, protocol), None)
    client_certificate, client_key = _read_client_certificate(variables)
    if url is None:
        return None
    destination = Destination(
        protocol=protocol,
        url=url,
        signal=variables.signal,
        headers=headers,
        timeout_seconds=timeout_seconds,
        gzip=gzip,
        ca_file=ca_file,
        client_certificate=client_certificate,
        client_key=client_key,
        insecure=insecure,
    )
    return replace(
        destination,
        ca_file=destination.ca_file or _read_ca_of_requests(variables, destination),
        proxy=_read_proxy(variables, destination),
    )


def _read_endpoint(variables: _OtlpVariables, protocol: OtlpProtocol) -> str | None:
    variable, value = variables.find("ENDPOINT")
    try:
        if protocol is OtlpProtocol.GRPC:
            return grpc_endpoint(value or "http://localhost:4317")
        of_the_signal = variable != COMMON_ENDPOINT
        return http_endpoint(value or "http://localhost:4318", of_the_signal=of_the_signal, signal=variables.signal)
    except ValueError as error:
        variables.problems.append(f"{variable}: {error}")
        return None


def _read_client_certificate(variables: _OtlpVariables) -> tuple[str | None, str | None]:
    """Return the files of the client's certificate and of its key. They are loaded once, to find out if they fit."""
    variable, certificate = variables.find("CLIENT_CERTIFICATE")
    key_variable, key = variables.find("CLIENT_KEY")
    if certificate is None:
        if key is not None:
            variables.problems.append(f"{key_variable}: a key without a certificate; set {variable} too")
        return None, None
    try:
        _check_pem(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=""))
    except ValueError as error:
        variables.problems.append(f"{f'{variable} and {key_variable}' if key else variable}: {error}")
    return certificate, key


def _read_ca_of_requests(variables: _OtlpVariables, destination: Destination) -> str | None:
    """Return the file or directory of certificates that `requests` would trust, for the same trust as the SDK's exporters."""
    if destination.protocol is OtlpProtocol.GRPC or not destination.secure or variables.find("CERTIFICATE")[1]:
        return None
    for variable in _CA_VARIABLES:
        if variables.environ.get(variable, "").strip():
            return variables.parse_variable(variable, lambda value: _parse_ca(value, OtlpProtocol.HTTP), None)
    return None


def _read_proxy(variables: _OtlpVariables, destination: Destination) -> str | None:
    """Return the proxy for the destination. No proxy is used for a loopback address: the proxy would take it for its own machine."""
    host = other_host(destination.url)
    found = host and proxy_for(variables.environ, host, other_port(destination.url), secure=destination.secure)
    return variables.parse_variable(found[0], proxy_url, None) if found else None


def _protects_credentials(destination: Destination) -> bool:
    """Return True if there are no credentials, or they are encrypted, or they do not leave this host."""
    has_credentials = bool(destination.headers) or "?" in destination.url
    return destination.secure or not has_credentials or other_host(destination.url) is None


def _parse_protocol(value: str) -> OtlpProtocol:
    if value not in {protocol.value for protocol in OtlpProtocol}:
        raise ValueError(f"{value!r} has to be one of {', '.join(protocol.value for protocol in OtlpProtocol)}")
    return OtlpProtocol(value)


def _parse_boolean(value: str) -> bool:
    if value.lower() not in _BOOLEANS:
        raise ValueError(f"{value!r} has to be `true` or `false`")
    return _BOOLEANS[value.lower()]


def _parse_compression(value: str) -> bool:
    if value.lower() not in {"gzip", "none"}:
        raise ValueError(f"{value!r} has to be `gzip` or `none`")
    return value.lower() == "gzip"


def _parse_timeout(value: str, signal: str) -> float:
    # At most 12 digits, since int() refuses thousands of them with an error of its own.
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise ValueError(f"{value!r} has to be a whole number of milliseconds")
    millis = int(value)
    if 0 < millis < SHORTEST_TIMEOUT_MILLIS:
        raise ValueError(
            f"{value!r} means milliseconds, and is too short for any server (the exporters of OpenTelemetry's SDK for "
            f"Python read seconds; set OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT for the outbox, in milliseconds)"
        )
    return min(millis / 1000, LONGEST_TIMEOUT_SECONDS) if millis else LONGEST_TIMEOUT_SECONDS


def parse_headers(value: str, protocol: OtlpProtocol) -> Headers:
    """Parse a list of ``name=value`` whose values are percent-encoded.

    An error names the position in the list only: a badly written list may have a credential in any place.
    """
    headers = {}
    for position, part in enumerate(value.split(","), 1):
        if not part.strip():
            continue
        name, equals, text = part.partition("=")
        name = unquote(name.strip()).lower()
        try:
            text = unquote(text.strip(), errors="strict").strip()
            problem = _problem_of_header(name, text, protocol) if equals else "is not `name=value`"
        except UnicodeDecodeError:
            problem = "has a value that is not percent-encoded UTF-8"
        if problem:
            raise ValueError(f"entry {position} of the list (not shown, since it may be secret) {problem}")
        headers[name] = text
    return Headers(headers)


def _problem_of_header(name: str, value: str, protocol: OtlpProtocol) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return "has a name that is not allowed for a header"
    if name in _TRANSPORT_HEADERS:
        return "names a header that the transport sets itself; remove it"
    if protocol is OtlpProtocol.GRPC and not _METADATA_KEY.fullmatch(name):
        return "has a name that gRPC does not allow for text"
    # A line break would let the value add headers of its own.
    if not (value.isascii() and value.isprintable()):
        return "has characters that are not allowed in a header"
    return None


def _parse_ca(value: str, protocol: OtlpProtocol) -> str:
    if protocol is OtlpProtocol.HTTP and Path(value).is_dir():
        return value
    _check_pem(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value))
    return value


def _check_pem(load: Callable[[], None]) -> None:
    """Call the function that loads PEM files, and report its errors as a `ValueError` without their contents."""
    try:
        load()
    except ssl.SSLError:
        raise ValueError("is not usable PEM, or the certificate and the key do not belong together") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
