"""What the URL of an endpoint, a target of gRPC and the URL of a proxy may be; pure.

What is wrong with one is told without showing it, since a password or a key may stand in it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed has only proxy_bypass

PORTS: Final = {"http": 80, "https": 443}
LOGS_PATH: Final = "/v1/logs"

_TARGET_SCHEME: Final = re.compile(r"(dns|ipv4|ipv6|passthrough):(//[^/]*/)?")
_UNIX: Final = ("unix:", "unix-abstract:")


def http_endpoint(value: str, *, of_the_signal: bool) -> str:
    """The URL to send logs to: that of the signal as it is, and below the common one the path for logs.

    Raises:
        ValueError: It is no URL that can be sent to.
    """
    url = _checked_url(value).partition("#")[0]
    if of_the_signal:
        return url if urlsplit(url).path else urlsplit(url)._replace(path="/").geturl()
    return url.partition("?")[0].rstrip("/") + LOGS_PATH


def grpc_endpoint(value: str) -> str:
    """The URL, or the target in one of gRPC's own forms.

    Raises:
        ValueError: It is neither.
    """
    if scheme_of(value) is not None:
        return _checked_url(value)
    if not _is_printable(value) or "@" in value:
        raise ValueError("it is neither a URL nor a target of gRPC, like localhost:4317")
    return value


def scheme_of(url: str) -> str | None:
    """`http` or `https`; `None` for what is no URL of these."""
    scheme, separator, _ = url.partition("://")
    return scheme.lower() if separator and scheme.lower() in PORTS else None


def port_of(url: str) -> int:
    """The port of a URL, or that of its scheme."""
    return urlsplit(url).port or PORTS[scheme_of(url) or "http"]


def other_host(endpoint: str) -> str | None:
    """The host that is sent to, where it is not surely this one; `None` for loopback and for a Unix socket."""
    if endpoint.startswith(_UNIX):
        return None
    url = endpoint if scheme_of(endpoint) else "//" + _TARGET_SCHEME.sub("", endpoint, count=1)
    try:
        host = "" if "," in url else urlsplit(url).hostname or ""
    except ValueError:  # of one of gRPC's own forms
        host = ""
    return None if _is_loopback(host) else host


def proxy_for(environ: Mapping[str, str], host: str, *, secure: bool) -> tuple[str, str] | None:
    """The variable of the environment that names a proxy for this host, and what it says.

    As with other programs: ``https_proxy`` or ``http_proxy``, else ``all_proxy``, not for hosts in ``no_proxy``; lower
    case goes before upper case, and in a CGI script ``HTTP_PROXY`` is a header of the request.
    """
    said = {
        name.lower(): (name, value)
        for name, value in sorted(environ.items())  # upper case sorts first, so lower case replaces it
        if name.lower().endswith("_proxy") and value and (name != "HTTP_PROXY" or "REQUEST_METHOD" not in environ)
    }
    found = said.get("https_proxy" if secure else "http_proxy") or said.get("all_proxy")
    _, not_for = said.get("no_proxy", ("", ""))
    return None if found is None or proxy_bypass_environment(host, {"no": not_for}) else found


def proxy_url(value: str) -> str:
    """The proxy's URL, also where the scheme is left out.

    Raises:
        ValueError: It is no URL, or of a kind of proxy that is not spoken.
    """
    url = value if "://" in value else f"http://{value}"
    if scheme_of(url) != "http":
        raise ValueError("only proxies whose URL begins with http:// can be used")
    _check_parts(url)
    return url


def _checked_url(value: str) -> str:
    if scheme_of(value) is None:
        raise ValueError("it has to begin with http:// or https://")
    _check_parts(value)
    if "@" in urlsplit(value).netloc:
        raise ValueError("it has a user's name or password in it; give them in OTEL_EXPORTER_OTLP_HEADERS")
    return value


def _check_parts(url: str) -> None:
    if not _is_printable(url):
        raise ValueError("it has characters that no URL has")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it is not a URL with a host, like http://localhost:4318")


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
