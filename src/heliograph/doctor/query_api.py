"""Send requests to the query API of a backend over HTTP. Responses are limited in size and time.

Credentials are headers, or user and password in the URL. They are sent only to the host of the URL: if there are any, no redirect is
followed.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final

from heliograph.delivery.transport.endpoint import other_host, scheme_of

TIMEOUT_SECONDS: Final = 5.0
"""The time for a response."""
MAX_BYTES: Final = 4 * 1024 * 1024
"""The size after which a response is not read any further."""

_NOT_FOUND: Final = 404
_PART_BYTES: Final = 65536


class QueryError(Exception):
    """The API did not respond, or responded with an error. The message contains neither the query nor any text of the server.

    Attributes:
        status: The status of the response; `None` if there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class QueryApi:
    """The query API of a backend.

    Args:
        url: The base URL. User and password in it are sent as Basic authentication.
        headers: Further headers of each request.

    Raises:
        QueryError: The URL cannot be used.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            _ = parts.port
        except ValueError as error:
            # The address has only one bracket, or a port that is not a number.
            raise QueryError("the URL cannot be used") from error
        if scheme_of(url) is None or not parts.hostname:
            raise QueryError("the URL has to begin with http:// or https://, and to name a host")
        self._url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._headers = {**_basic_authentication(parts), **(headers or {})}
        # A loopback address is not requested through a proxy, for which it would mean the proxy's own machine.
        proxies = urllib.request.ProxyHandler({}) if other_host(url) is None else urllib.request.ProxyHandler()
        self._opener = urllib.request.build_opener(proxies, *([_NoRedirects()] if self._headers else []))

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the JSON of a response: a list if each line is a JSON value, and `None` for status 404 or if it is not JSON.

        Raises:
            QueryError: There is no response, or it is an error.
        """
        url = f"{self._url}{path}?{urllib.parse.urlencode(query)}"
        try:
            request = urllib.request.Request(url, headers=self._headers)  # noqa: S310 — the scheme was checked
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return _parsed(_read(response), response.headers.get_content_type())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == _NOT_FOUND:
                return None
            raise QueryError(f"HTTP {error.code}", status=error.code) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None)
            raise QueryError(str(reason) if isinstance(reason, OSError) else type(error).__name__) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request."""


def _basic_authentication(parts: urllib.parse.SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _read(response: Any) -> bytes:
    """Return the body, or the first `MAX_BYTES` of it and a little more.

    The timeout of the socket is for each read. `TIMEOUT_SECONDS` is the limit for all of them together, too.
    """
    body, deadline = b"", time.monotonic() + TIMEOUT_SECONDS
    while len(body) < MAX_BYTES and (part := response.read1(_PART_BYTES)):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _parsed(body: bytes, media_type: str) -> Any:
    try:
        if media_type == "application/stream+json":
            return [json.loads(line) for line in body.splitlines() if line.strip()]
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
