"""Ask a backend for the test record, until it has stored it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from heliograph.delivery.transport.endpoint import shown_endpoint
from heliograph.doctor import findings
from heliograph.doctor.backends import BACKENDS, Backend, Get, Stored
from heliograph.doctor.findings import Finding, Kind
from heliograph.doctor.query_api import QueryApi, QueryError
from heliograph.doctor.records import NAME, TestRecord
from heliograph.sdk.exporters import TelemetrySignal

_T = TypeVar("_T")

PAUSE_SECONDS: Final = 0.25
"""The time between two requests to a backend."""


@dataclass(frozen=True, kw_only=True)
class BackendResult:
    """The result of asking a backend.

    Attributes:
        url: The base URL, without credentials.
        backend: The kind of backend; empty if it was not recognized.
        finding: The problem; `None` if the record is stored and, in a backend that stores events, has its event name.
    """

    url: str
    backend: str
    finding: Finding | None


def ask_backend(
    url: str,
    record: TestRecord,
    accepted: Collection[TelemetrySignal],
    *,
    name: str | None,
    timeout_seconds: float,
    headers: Mapping[str, str] | None = None,
) -> BackendResult:
    """Ask a backend for the test record, until it is stored or the time is over.

    Args:
        url: The base URL of the backend's query API.
        record: The test record.
        accepted: The signals that were accepted by their endpoints.
        name: The kind of backend; `None` to detect it.
        timeout_seconds: The longest time to wait.
        headers: The headers of each request, with the credentials.
    """
    deadline = time.monotonic() + timeout_seconds
    shown = shown_endpoint(url)
    try:
        get = QueryApi(url, headers).get
        backend = BACKENDS[name] if name else _recognized(get, deadline)
    except QueryError as error:
        return _arrival(shown, "", findings.NO_QUERY_API, str(error))
    if backend is None:
        return _arrival(shown, "", findings.NO_QUERY_API, f"it is not one of {', '.join(BACKENDS)}")
    if backend.signal not in accepted:
        detail = f"no endpoint accepted the test record of {backend.signal.value}, which is what {backend.name} stores"
        return _arrival(shown, backend.name, findings.NOT_STORED, detail)
    try:
        stored = _awaited(lambda: backend.find(get, record), deadline)
    except QueryError as error:
        return _arrival(shown, backend.name, findings.NO_QUERY_API, str(error))
    return _result(shown, backend, stored, timeout_seconds)


def _result(shown: str, backend: Backend, stored: Stored | None, timeout_seconds: float) -> BackendResult:
    if stored is None:
        detail = f"{backend.name} did not have it after {timeout_seconds:g} s, although the endpoint had accepted it"
        return _arrival(shown, backend.name, findings.NOT_STORED, detail)
    if stored.has_event_name is False:
        return _arrival(shown, backend.name, findings.NAME_DROPPED, f"{backend.name} stored it without the name {NAME}")
    return BackendResult(url=shown, backend=backend.name, finding=None)


def _recognized(get: Get, deadline: float) -> Backend | None:
    """Return the kind of backend, or `None` if it is of no known kind. A backend that does not respond may be starting: try again.

    Raises:
        QueryError: It has not responded in time.
    """
    return _answer(lambda: next((each for each in BACKENDS.values() if _is_of_kind(each, get)), None), deadline)


def _is_of_kind(backend: Backend, get: Get) -> bool:
    """Return True if a backend is of this kind. An error status means that it has no such path, so it is of another kind."""
    try:
        return backend.recognizes(get)
    except QueryError as error:
        if error.status is None:
            raise
        return False


def _awaited(find: Callable[[], _T | None], deadline: float) -> _T | None:
    """Call a function until it finds something, and return that, or `None` when the time is over.

    Raises:
        QueryError: The last call raised it.
    """
    while True:
        is_last = time.monotonic() >= deadline
        if (found := _answer(find, deadline)) is not None or is_last:
            return found
        time.sleep(PAUSE_SECONDS)


def _answer(ask: Callable[[], _T], deadline: float) -> _T:
    """Return the result of a function. While it raises `QueryError`, it is called again, until the time is over.

    Raises:
        QueryError: The last call raised it.
    """
    while True:
        is_last = time.monotonic() >= deadline
        try:
            return ask()
        except QueryError:
            if is_last:
                raise
        time.sleep(PAUSE_SECONDS)


def _arrival(shown: str, backend: str, kind: Kind, detail: str) -> BackendResult:
    return BackendResult(
        url=shown, backend=backend, finding=Finding(kind=kind, subject=backend or shown, detail=detail)
    )
