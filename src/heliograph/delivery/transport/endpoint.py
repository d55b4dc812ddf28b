"""Check and complete the addresses in the settings: endpoint URLs, gRPC targets and proxy URLs. Pure functions, no I/O.

An error describes the problem without the value, because a URL may contain a password or a key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed has only proxy_bypass

from heliograph.delivery.transport.explain import explain_endpoint

PORTS: Final = {"http": 80, "https": 443}
SIGNAL_PATHS: Final = {"logs": "/v1/logs", "traces": "/v1/traces", "metrics": "/v1/metrics"}

_TARGET_SCHEME: Final = re.compile(r"(dns|ipv4|ipv6|passthrough):(//[^/]*/)?")
_UNIX: Final = ("unix:", "unix-abstract:")
_WRONG_CHARACTERS: Final = "it contains characters that are not allowed in a URL"


def http_endpoint(value: str, *, of_the_signal: bool, signal: str = "logs") -> str:
    """Return the URL to send a signal to: ``logs``, ``traces`` or ``metrics``.

    By the specification, an endpoint for one signal is used as it is, and the common endpoint is a base URL that a path
    such as ``/v1/logs`` is appended to.

    Raises:
        ValueError: The value is not a usable URL.
    """
    url = _check_url_of_outbox(value).partition("#")[0]
    if of_the_signal:
        return url if urlsplit(url).path else urlsplit(url)._replace(path="/").geturl()
    if (problem := explain_endpoint(url)) is not None:
        raise ValueError(problem)
    return url.partition("?")[0].rstrip("/") + SIGNAL_PATHS[signal]


def grpc_endpoint(value: str) -> str:
    """Return the value if it is a usable URL, or may be a target in one of gRPC's own forms.

    Raises:
        ValueError: It is neither.
    """
    if scheme_of(value) is not None:
        return _check_url_of_outbox(value)
    if not _is_printable(value) or "@" in value:
        raise ValueError("it is neither a URL nor a target of gRPC, like localhost:4317")
    return value


def scheme_of(url: str) -> str | None:
    """Return `http` or `https`; `None` for anything else, like a target of gRPC."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator and scheme.lower() in PORTS else None


def shown_endpoint(endpoint: str) -> str:
    """Return an endpoint as it may be logged: without user name, password, query and fragment.

    >>> shown_endpoint("https://me:secret@collector:4318/v1/logs?key=secret")
    'https://collector:4318/v1/logs'
    """
    scheme, separator, rest = endpoint.partition("://") if "://" in endpoint else ("", "", endpoint)
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    path = re.split("[?#]", rest.removeprefix(authority), maxsplit=1)[0]
    if "@" in rest.removeprefix(authority):
        # Perhaps it is a password with one of these characters, so all of it may be secret.
        return f"{scheme}{separator}..."
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{path}"


def port_of(url: str) -> int:
    """Return the port of a URL, or the default port of its scheme."""
    return urlsplit(url).port or PORTS[scheme_of(url) or "http"]


def other_host(endpoint: str) -> str | None:
    """Return the host of an endpoint if it may be another machine; `None` for loopback and Unix sockets.

    The answer decides if credentials may be sent without encryption, so an endpoint that cannot be understood counts as
    another machine, with the empty string for its name.
    """
    if endpoint.startswith(_UNIX):
        return None
    url = endpoint if scheme_of(endpoint) else "//" + _TARGET_SCHEME.sub("", endpoint, count=1)
    try:
        # gRPC's ipv4: and ipv6: targets may list several addresses.
        host = "" if "," in url else urlsplit(url).hostname or ""
    except ValueError:
        # This is a target of gRPC that is not like a URL.
        host = ""
    return None if _is_loopback(host) else host


def other_port(endpoint: str) -> int:
    """Return the port of an endpoint, which may be a target of gRPC; 0 if it has several addresses."""
    url = endpoint if scheme_of(endpoint) else "http://" + _TARGET_SCHEME.sub("", endpoint, count=1)
    try:
        return port_of(url)
    except ValueError:
        return 0


def proxy_for(environ: Mapping[str, str], host: str, port: int, *, secure: bool) -> tuple[str, str] | None:
    """Return the environment variable that names a proxy for the host, and its value; `None` without one.

    The rules are those of `requests`, which the SDK's exporters use: ``https_proxy`` or ``http_proxy``, else ``all_proxy``; lower
    case before upper case, also if it is empty; none for the hosts in ``no_proxy``.
    """
    by_name: dict[str, tuple[str, str]] = {}
    # Upper case sorts before lower case, so a lower-case name replaces the upper-case one.
    for name, value in sorted(environ.items()):
        # In a CGI script, HTTP_PROXY is the value of a request header named "Proxy" ("httpoxy").
        if name.lower().endswith("_proxy") and (name != "HTTP_PROXY" or "REQUEST_METHOD" not in environ):
            by_name[name.lower()] = (name, value)
    found = _with_value(by_name, "https_proxy" if secure else "http_proxy") or _with_value(by_name, "all_proxy")
    _, no_proxy = by_name.get("no_proxy", ("", ""))
    return None if found is None or _is_excepted(host, port, no_proxy) else found


def _with_value(by_name: Mapping[str, tuple[str, str]], name: str) -> tuple[str, str] | None:
    found = by_name.get(name)
    return found if found is not None and found[1] else None


def _is_excepted(host: str, port: int, no_proxy: str) -> bool:
    """Return True if ``no_proxy`` lists the host, by the rules of `requests`: its own ones, and those of urllib, which it also applies."""
    if proxy_bypass_environment(host, {"no": no_proxy}):
        return True
    entries = [entry for entry in no_proxy.replace(" ", "").split(",") if entry]
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        # `.` before both: the end of a name counts from a dot on.
        return any(f".{host}:{port}".endswith(f".{entry.lstrip('.')}") for entry in entries)
    return any(_contains(entry, address) for entry in entries)


def _contains(entry: str, address: ipaddress.IPv4Address) -> bool:
    """Return True if an entry of ``no_proxy`` is the address, or a network that contains it (``10.0.0.0/8``)."""
    _, slash, bits = entry.partition("/")
    if slash and not (bits.isascii() and bits.isdigit() and int(bits[:3]) > 0):
        # `requests` reads neither masks (10.0.0.0/255.0.0.0) nor networks of all addresses.
        return False
    try:
        return address in ipaddress.IPv4Network(entry, strict=False)
    except ValueError:
        return False


def proxy_url(value: str) -> str:
    """Return the URL of a proxy; a missing scheme is added.

    Raises:
        ValueError: It is not a URL, or the proxy is not an HTTP proxy.
    """
    url = value if "://" in value else f"http://{value}"
    scheme = url.partition("://")[0].lower()
    if scheme.startswith("socks"):
        raise ValueError(
            f"it is a SOCKS proxy ({scheme}://), and the outbox supports HTTP proxies only; name one, or list the host of the "
            "endpoint in NO_PROXY"
        )
    if scheme == "https":
        # A tunnel would be TLS inside of TLS, which Python's sockets cannot do; only the proxy would be hidden by it.
        raise ValueError(
            "the outbox speaks to proxies by http:// only (with a server of https://, what passes through the proxy is encrypted all "
            "the same); name its http:// port, or list the host of the endpoint in NO_PROXY"
        )
    if scheme != "http":
        raise ValueError("only proxies whose URL begins with http:// are supported")
    check_url(url)
    _check_characters(url)
    return url


def check_url(url: str) -> None:
    """Check that a text is a URL of HTTP with a host and a usable port.

    Raises:
        ValueError: It is not.
    """
    if scheme_of(url) is None:
        raise ValueError("it has to begin with http:// or https://, like http://localhost:4318")
    if any(map(str.isspace, url)):
        raise ValueError(_WRONG_CHARACTERS)
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it is not a URL with a host, like http://localhost:4318")


def _check_url_of_outbox(url: str) -> str:
    """Return a URL if it can be an endpoint of the outbox: of printable ASCII, without a user name or a password.

    The SDK's exporters encode other characters, and use the password.
    """
    check_url(url)
    _check_characters(url)
    if "@" in urlsplit(url).netloc:
        raise ValueError("it contains a user name or a password; use OTEL_EXPORTER_OTLP_HEADERS for credentials")
    return url


def _check_characters(url: str) -> None:
    if not _is_printable(url):
        raise ValueError(_WRONG_CHARACTERS)


def _is_printable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
