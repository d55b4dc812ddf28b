"""The server that the outbox sends to, and the options of the connection to it.

Header values, passwords and queries may be credentials. No `repr` here contains them, and `Destination.secrets` lists
them, so that they can be removed from the server's own texts before those are logged.
"""

from __future__ import annotations

import base64
import contextlib
import enum
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, unquote_plus, urlsplit

from heliograph.delivery.transport.endpoint import scheme_of, shown_endpoint
from heliograph.runtime.fork_lock import importing

DEFAULT_TIMEOUT_SECONDS: Final = 10.0

_SHORTEST_SECRET: Final = 4
"""A shorter word is not treated as a secret: masking every `a` or `1` would make all messages unreadable."""


class OtlpProtocol(str, enum.Enum):
    """The protocol that carries OTLP, spelled as in ``OTEL_EXPORTER_OTLP_PROTOCOL``."""

    HTTP = "http/protobuf"
    GRPC = "grpc"


class Headers(Mapping[str, str]):
    """Headers by lower-case name. The `repr` shows the names only, because values may be credentials."""

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
    """A server that accepts OTLP, and how to reach it.

    Attributes:
        protocol: HTTP or gRPC.
        signal: The signal that is sent: ``logs``, ``traces`` or ``metrics``.
        url: The complete URL of the signal's endpoint. For gRPC also a target in one of gRPC's own forms, like
            ``dns:///collector:4317`` or ``unix:/run/otlp.sock``.
        headers: The headers (gRPC: the metadata) of each request.
        timeout_seconds: The longest that one request may take, from the name lookup to the last byte of the response.
        gzip: True if requests are compressed.
        ca_file: A file with the certificates to trust instead of the system's. Over HTTP also a directory, as OpenSSL reads it.
        client_certificate: A file with the certificate that is shown to the server; it may contain the key too.
        client_key: A file with the key of the client certificate.
        insecure: True if a gRPC target that is not a URL is reached without TLS.
        proxy: The URL of the HTTP proxy to use.
    """

    protocol: OtlpProtocol
    url: str
    signal: str = "logs"
    headers: Mapping[str, str] = field(default_factory=Headers)
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    gzip: bool = False
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure: bool = False
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"Destination({self.protocol.value}, {self.shown_url}, {Headers(self.headers)!r})"

    @property
    def shown_url(self) -> str:
        """The URL as it may be shown to people, without user name, password and query: some backends take their API key as a query."""
        return shown_endpoint(self.url)

    @property
    def authority(self) -> str:
        """The host and the port of the server, or the target of gRPC."""
        return urlsplit(self.url).netloc if scheme_of(self.url) else self.url

    @property
    def secure(self) -> bool:
        """True if the connection uses TLS."""
        scheme = scheme_of(self.url)
        return scheme == "https" or (scheme is None and not self.insecure)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must be in no log line and no message, sorted.

        They are the values of the headers, each whole and word by word (``Bearer abc`` and ``abc``), the header for the proxy
        likewise, and the credentials in the URLs (`_credentials_in`), except for texts of less than four characters.
        """
        values = [*self.headers.values(), *self.proxy_headers.values()]
        values += _credentials_in(self.url) if scheme_of(self.url) else []
        values += _credentials_in(self.proxy) if self.proxy else []
        words = {word for value in values for word in (value, *value.split())}
        return tuple(sorted(word for word in words if len(word) >= _SHORTEST_SECRET))

    @property
    def proxy_headers(self) -> Mapping[str, str]:
        """The headers with the credentials for the proxy; none if its URL has no user name."""
        proxy = urlsplit(self.proxy or "")
        if not proxy.username:
            return Headers()
        credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        return Headers({"proxy-authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"})

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS settings of a new connection.

        The files are read at each call, so a renewed certificate is used without a restart.

        Raises:
            OSError: A file cannot be read, or is not PEM (`ssl.SSLError`).
        """
        context = _trusting(self.ca_file)
        if self.client_certificate:
            # With an empty password, an encrypted key is an error. Without one, OpenSSL would ask at the terminal.
            context.load_cert_chain(self.client_certificate, self.client_key, password="")
        return context


def _credentials_in(url: str) -> list[str]:
    """Return the texts of a URL that may be credentials, each as it is there, and decoded, as a server may repeat it.

    They are the password, or the user name if there is none; the query; and each value in it, or the whole of a part without ``=``.
    """
    parts = urlsplit(url)
    values = [parts.password or parts.username or "", parts.query]
    values += [pair.split("=", 1)[-1] for pair in parts.query.split("&")]
    return [text for value in values for text in (value, unquote(value), unquote_plus(value))]


def _trusting(ca: str | None) -> ssl.SSLContext:
    """Return TLS settings that trust the certificates of a file or a directory, or those of the system."""
    if ca is not None and Path(ca).is_dir():
        return ssl.create_default_context(capath=ca)
    if ca is None and not _system_has_certificates():
        with contextlib.suppress(ImportError), importing:
            import certifi

            ca = certifi.where()
    return ssl.create_default_context(cafile=ca)


def _system_has_certificates() -> bool:
    """Return True if OpenSSL finds certificates to trust. Python of python.org for macOS, and small containers, have none."""
    if sys.platform == "win32":  # pragma: no cover — Windows has a store of its own
        return True
    paths = ssl.get_default_verify_paths()
    # This user may not be allowed to read the directory.
    with contextlib.suppress(OSError):
        return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))
    return False
