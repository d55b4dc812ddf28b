"""Where the outbox sends to, from the standard ``OTEL_EXPORTER_OTLP_*`` environment.

Sources: OpenTelemetry specification, OTLP exporter configuration and endpoint URLs; environment variables, the meaning
of a timeout (milliseconds, 0 for no limit).

The variables of the signal (``OTEL_EXPORTER_OTLP_LOGS_*``) go before the common ones, each as a whole. No value of a
header, no password and no query is in a repr or in an error's text.
"""

from __future__ import annotations

import enum
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from heliograph.delivery.transport.endpoint import (
    grpc_endpoint,
    http_endpoint,
    other_host,
    proxy_for,
    proxy_url,
    scheme_of,
)
from heliograph.errors import SettingsError

T = TypeVar("T")

ALLOW_PLAINTEXT: Final = "HELIOGRAPH_OUTBOX_ALLOW_PLAINTEXT"
DEFAULT_TIMEOUT_SECONDS: Final = 10.0
LONGEST_TIMEOUT_SECONDS: Final = 60 * 60.0
SHORTEST_TIMEOUT_MILLIS: Final = 100

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_METADATA_KEY: Final = re.compile(r"(?!grpc-)[a-z0-9_.-]+(?<!-bin)")
_OURS: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "expect", "keep-alive", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_SHORTEST_SECRET: Final = 4
_MAX_DIGITS: Final = 12
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class OtlpProtocol(str, enum.Enum):
    """How OTLP is carried, as the variables spell it."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class Headers(Mapping[str, str]):
    """Headers by their names in lower case; the repr has the names alone."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"Headers({', '.join(f'{name}=…' for name in self)})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Destination:
    """Where to send, and how.

    Attributes:
        protocol: HTTP or gRPC.
        url: The whole URL; for gRPC a URL or what gRPC calls a target.
        headers: What goes with each request.
        timeout_seconds: The longest that one request may take, from the look-up of the host to the answer's last byte.
        gzip: Whether requests are compressed.
        ca_file: Whose certificates to trust, in place of the system's.
        client_certificate: The certificate to show to the server; its key may be in the same file.
        client_key: The key of it.
        insecure: Whether a gRPC target that is no URL is reached without TLS.
        proxy: The URL of the HTTP proxy to go through.
    """

    protocol: OtlpProtocol
    url: str
    headers: Mapping[str, str] = field(default_factory=Headers)
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    gzip: bool = False
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure: bool = False
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"Destination({self.protocol.value}, {self.place}, {Headers(self.headers)!r})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, allow_plaintext: bool = False) -> Destination:
        """The destination that an environment names.

        Args:
            environ: The environment; `None` is that of the process.
            allow_plaintext: Whether credentials may go over plain HTTP to another host.

        Raises:
            SettingsError: Every problem, at once.
        """
        environ = os.environ if environ is None else environ
        reader = _Reader(environ)
        destination = _read(cls, reader)
        if destination is not None and not (allow_plaintext or _keeps_credentials(destination)):
            reader.problems.append(
                f"{reader.said('ENDPOINT')[0]}: credentials (headers, a query) go neither unencrypted nor to another "
                f"host than this one; use https, or set {ALLOW_PLAINTEXT}=true"
            )
        if reader.problems or destination is None:
            raise SettingsError(reader.problems)
        return destination

    @property
    def place(self) -> str:
        """Where it sends to, for people: without the query, which may be a secret."""
        return self.url.partition("?")[0]

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        scheme = scheme_of(self.url)
        return scheme == "https" or (scheme is None and not self.insecure)

    @property
    def hidden(self) -> tuple[str, ...]:
        """What no log and no message may have: values of headers, also without their scheme; queries; passwords."""
        values = [*self.headers.values(), urlsplit(self.url).query if scheme_of(self.url) else ""]
        values += [urlsplit(self.proxy).password or ""] if self.proxy else []
        words = {word for value in values for word in (value, *value.split())}
        return tuple(sorted(word for word in words if len(word) >= _SHORTEST_SECRET))

    def tls_context(self) -> ssl.SSLContext:
        """What a TLS connection begins with; the files are read now, so a certificate that was renewed is taken.

        Raises:
            OSError: A file cannot be read, or is not PEM (`ssl.SSLError`).
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.client_certificate:
            # An encrypted key would otherwise ask for its password at the terminal.
            context.load_cert_chain(self.client_certificate, self.client_key, password="")
        return context


class _Reader:
    """Reads variables, those of the signal before the common ones, and gathers what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def said(self, name: str) -> tuple[str, str | None]:
        """The variable that decides, and what it says; an empty one says nothing."""
        own, common = f"OTEL_EXPORTER_OTLP_LOGS_{name}", f"OTEL_EXPORTER_OTLP_{name}"
        for variable in (own, common):
            if value := self.environ.get(variable, "").strip():
                return variable, value
        return common, None

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """The value of the variable that decides."""
        return self.read_variable(self.said(name)[0], parse, default)

    def read_variable(self, variable: str, parse: Callable[[str], T], default: T) -> T:
        """The value of one variable, or the default where it says nothing, or nothing that can be used."""
        value = self.environ.get(variable, "").strip()
        if not value:
            return default
        try:
            return parse(value)
        except ValueError as error:
            self.problems.append(f"{variable}: {error}")
            return default


def _read(cls: type[Destination], reader: _Reader) -> Destination | None:
    protocol = reader.read("PROTOCOL", _protocol, OtlpProtocol.HTTP)
    insecure = reader.read("INSECURE", _flag, False)
    url = _read_endpoint(reader, protocol)
    values = {
        "headers": reader.read("HEADERS", lambda value: _headers(value, protocol), Headers()),
        "timeout_seconds": reader.read("TIMEOUT", _timeout, DEFAULT_TIMEOUT_SECONDS),
        "gzip": reader.read("COMPRESSION", _gzip, False),
        "ca_file": reader.read("CERTIFICATE", _ca_file, None),
        **_read_client_certificate(reader),
    }
    if url is None:
        return None
    bare = cls(protocol=protocol, url=url, insecure=insecure, **values)  # type: ignore[arg-type]
    return replace(bare, proxy=_read_proxy(reader, bare))


def _read_endpoint(reader: _Reader, protocol: OtlpProtocol) -> str | None:
    variable, value = reader.said("ENDPOINT")
    try:
        if protocol is OtlpProtocol.GRPC:
            return grpc_endpoint(value or "http://localhost:4317")
        return http_endpoint(value or "http://localhost:4318", of_the_signal="_LOGS_" in variable)
    except ValueError as error:
        reader.problems.append(f"{variable}: {error}")
        return None


def _read_client_certificate(reader: _Reader) -> dict[str, str | None]:
    variable, certificate = reader.said("CLIENT_CERTIFICATE")
    key_variable, key = reader.said("CLIENT_KEY")
    if certificate is None:
        if key is not None:
            reader.problems.append(f"{key_variable}: a key without a certificate; set {variable} too")
        return {"client_certificate": None, "client_key": None}
    named = f"{variable} and {key_variable}" if key else variable
    try:
        _tried(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=""))
    except ValueError as error:
        reader.problems.append(f"{named}: {error}")
    return {"client_certificate": certificate, "client_key": key}


def _read_proxy(reader: _Reader, destination: Destination) -> str | None:
    """The proxy for the destination; never one for this host itself: a proxy's loopback is another."""
    host = other_host(destination.url)
    found = host and proxy_for(reader.environ, host, secure=destination.secure)
    return reader.read_variable(found[0], proxy_url, None) if found else None


def _keeps_credentials(destination: Destination) -> bool:
    has_some = bool(destination.headers) or "?" in destination.url
    return destination.secure or not has_some or other_host(destination.url) is None


def _protocol(value: str) -> OtlpProtocol:
    if value not in {protocol.value for protocol in OtlpProtocol}:
        raise ValueError(f"{value!r} has to be one of {', '.join(protocol.value for protocol in OtlpProtocol)}")
    return OtlpProtocol(value)


def _flag(value: str) -> bool:
    if value.lower() not in _FLAGS:
        raise ValueError(f"{value!r} has to be `true` or `false`")
    return _FLAGS[value.lower()]


def _gzip(value: str) -> bool:
    if value.lower() not in {"gzip", "none"}:
        raise ValueError(f"{value!r} has to be `gzip` or `none`")
    return value.lower() == "gzip"


def _timeout(value: str) -> float:
    if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
        raise ValueError(f"{value!r} has to be a whole number of milliseconds")
    millis = int(value)
    if 0 < millis < SHORTEST_TIMEOUT_MILLIS:
        raise ValueError(
            f"{value!r} is in milliseconds, and no server answers that soon (exporters of OpenTelemetry's SDK for Python "
            "read seconds; set OTEL_EXPORTER_OTLP_LOGS_TIMEOUT for this one, in milliseconds)"
        )
    return min(millis / 1000, LONGEST_TIMEOUT_SECONDS) if millis else LONGEST_TIMEOUT_SECONDS


def _headers(value: str, protocol: OtlpProtocol) -> Headers:
    """A list of ``name=value``, the values percent-encoded; what is wrong is told by its place in the list alone."""
    headers = {}
    for place, part in enumerate(value.split(","), 1):
        name, equals, text = part.partition("=")
        name, text = unquote(name.strip()).lower(), unquote(text.strip(), errors="strict").strip()
        if not part.strip():
            continue
        problem = _problem_of_header(name, text, protocol) if equals else "is not `name=value`"
        if problem:
            raise ValueError(f"part {place} of the list, which is not shown here, {problem}")
        headers[name] = text
    return Headers(headers)


def _problem_of_header(name: str, value: str, protocol: OtlpProtocol) -> str | None:
    if not _TOKEN.fullmatch(name):
        return "has a name that no header may have"
    if name in _OURS:
        return "names a header that is set by the transport itself"
    if protocol is OtlpProtocol.GRPC and not _METADATA_KEY.fullmatch(name):
        return "has a name that gRPC does not allow for a text"
    if not (value.isascii() and value.isprintable()):
        return "has characters that no header may have"
    return None


def _ca_file(value: str) -> str:
    _tried(lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value))
    return value


def _tried(load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError:
        raise ValueError("is not PEM that can be used, or certificate and key are not of one another") from None
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
