"""Examine the set-up of telemetry: read it, send the test records, and ask the backends for them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID

from heliograph.delivery.transport import port_probe
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.transport.verdict import printable_message
from heliograph.doctor import findings
from heliograph.doctor.arrival import BackendResult, ask_backend
from heliograph.doctor.diagnosis import Port, diagnose
from heliograph.doctor.effective import settings_of, variables_of, versions
from heliograph.doctor.findings import Finding
from heliograph.doctor.records import TestRecord, encode, new_test_record
from heliograph.doctor.report import Report, Test
from heliograph.doctor.secrecy import secrets_of
from heliograph.doctor.targets import ExportTarget, find_targets
from heliograph.integrations.datasette.process_providers import (
    SERVICE_NAME,
    is_loaded,
    owner_names,
    sibling_that_takes_spans,
)
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.routes import find_routes
from heliograph.sdk.setup import create_resource
from heliograph.semconv import SCOPE
from heliograph.settings import Settings, read_settings
from heliograph.telemetry.missing_providers import variable_that_asks_for_export
from heliograph.telemetry.providers import is_disabled

REQUEST_SECONDS: Final = 10.0
"""The longest time for one test record, unless the environment has a shorter one."""

_PORT: Final = Port(
    speaks_tls=port_probe.speaks_tls,
    speaks_http1=port_probe.speaks_http1,
    speaks_http2=port_probe.speaks_http2,
    closes_after_handshake=port_probe.closes_after_handshake,
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A backend to ask for the test record.

    Attributes:
        url: The base URL of its query API.
        backend: The kind of backend; `None` to detect it.
        timeout_seconds: The longest time to wait for the record.
        headers: The headers of each request, with the credentials.
    """

    url: str
    backend: str | None = None
    timeout_seconds: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class DatasetteStart:
    """A Datasette that was started in this process.

    Attributes:
        config: Datasette's ``plugins: heliograph:``.
        problem: The reason why it did not start; empty if it did.
    """

    config: Mapping[str, object] | None = None
    problem: str = ""


def examine(
    environ: Mapping[str, str] | None = None,
    *,
    questions: Iterable[Question] = (),
    datasette: DatasetteStart | None = None,
) -> Report:
    """Return a report about the set-up of a program. The test records are sent, and the backends store them.

    Args:
        environ: The environment; `None` means that of the process.
        questions: The backends to ask for the test record.
        datasette: The Datasette whose plugin is examined; `None` for a program that calls `heliograph.configure`.
    """
    environ = os.environ if environ is None else environ
    config = datasette.config if datasette else None
    values, problems = read_settings(environ, config)
    settings = Settings(**values)  # type: ignore[arg-type]
    targets, found = find_targets(environ, settings)
    if datasette is not None:
        if _is_dormant(environ, settings):
            targets, found = [], [Finding(kind=findings.NOT_ASKED, subject="environment", detail=_DORMANT)]
        found += _datasette_findings(environ, datasette, settings)
    record = new_test_record(_resource(None if datasette is None else SERVICE_NAME))
    tests = _with_signals_compared([_send(target, record) for target in targets])
    accepted = {test.target.signal for test in tests if test.finding is None}
    arrivals = [_ask(each, record, accepted) for each in questions]
    outcomes = [*(test.finding for test in tests), *(arrival.finding for arrival in arrivals)]
    found += [finding for finding in outcomes if finding is not None]
    return Report(
        versions=versions(),
        settings=settings_of(values, environ, config),
        variables=variables_of(environ),
        routes=find_routes(settings.outbox, owner_names(environ) if datasette else None),
        record=record,
        tests=tests,
        arrivals=arrivals,
        findings=[*map(_wrong_setting, problems), *_merged(found)],
    )


def _ask(question: Question, record: TestRecord, accepted: Collection[TelemetrySignal]) -> BackendResult:
    return ask_backend(
        question.url,
        record,
        accepted,
        name=question.backend,
        timeout_seconds=question.timeout_seconds,
        headers=question.headers,
    )


_DORMANT: Final = "no OTEL_* variable names an endpoint or an exporter, and there is no outbox"


def _is_dormant(environ: Mapping[str, str], settings: Settings) -> bool:
    is_asked = variable_that_asks_for_export(environ) or settings.outbox is not None
    return not is_asked and not is_disabled(environ)


def _datasette_findings(environ: Mapping[str, str], datasette: DatasetteStart, settings: Settings) -> Iterator[Finding]:
    if datasette.problem:
        # The problem may be the message of a plugin that quotes the value of a variable.
        detail = printable_message("datasette", datasette.problem, secrets_of(environ))
        yield Finding(kind=findings.NOT_STARTED, subject="datasette", detail=detail)
    if not is_loaded(SCOPE, environ):
        yield Finding(kind=findings.NOT_LOADED, subject="datasette", detail="DATASETTE_LOAD_PLUGINS does not name it")
    if (owner := sibling_that_takes_spans(environ, has_outbox=settings.outbox is not None)) is not None:
        yield Finding(kind=findings.SPANS_STAY, subject="traces", detail=f"spans go to {owner}")


def _wrong_setting(problem: str) -> Finding:
    return Finding(kind=findings.WRONG_SETTING, subject="settings", detail=problem)


def _resource(service_name: str | None) -> dict[str, str]:
    # The id of the instance is left out: with it, each run would create another series of the metric.
    attributes = create_resource(service_name).attributes
    return {name: str(value) for name, value in attributes.items() if name != SERVICE_INSTANCE_ID}


def _send(target: ExportTarget, record: TestRecord) -> Test:
    transport = open_transport(target.destination)
    try:
        timeout_seconds = min(target.destination.timeout_seconds, REQUEST_SECONDS)
        verdict = transport.send(encode(target.signal, record), timeout_seconds)
    finally:
        transport.close()
    finding = diagnose(verdict, target.destination, _PORT)
    return Test(target=target, finding=finding)


def _with_signals_compared(tests: list[Test]) -> list[Test]:
    """Return the tests. If a server has no receiver for one signal, and accepts another signal, the finding says so."""
    accepting = {test.target.destination.authority for test in tests if test.finding is None}
    return [
        replace(test, finding=replace(test.finding, kind=findings.SIGNAL_NOT_ACCEPTED))
        if test.finding is not None
        and test.finding.kind is findings.NO_RECEIVER
        and test.target.destination.authority in accepting
        else test
        for test in tests
    ]


def _merged(found: Sequence[Finding]) -> list[Finding]:
    """Join findings with the same kind and detail: a wrong variable for all signals is found once for each signal."""
    subjects: dict[tuple[str, str], list[str]] = {}
    kinds = {each.kind.id: each.kind for each in found}
    for each in found:
        subjects.setdefault((each.kind.id, each.detail), []).append(each.subject)
    return [
        Finding(kind=kinds[kind_id], subject=", ".join(names), detail=detail)
        for (kind_id, detail), names in subjects.items()
    ]
