"""The report of the doctor, as data, as JSON and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from heliograph.delivery.transport.endpoint import shown_endpoint
from heliograph.doctor import findings
from heliograph.doctor.arrival import BackendResult
from heliograph.doctor.effective import ShownSetting
from heliograph.doctor.findings import Finding
from heliograph.doctor.records import NAME, TestRecord
from heliograph.doctor.targets import ExportTarget
from heliograph.sdk.routes import Route


@dataclass(frozen=True, kw_only=True)
class Test:
    """The test of one endpoint.

    Attributes:
        target: The endpoint.
        finding: The problem; `None` if the test record was accepted.
    """

    __test__ = False

    target: ExportTarget
    finding: Finding | None


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of an examination.

    Attributes:
        versions: The versions of the installed packages.
        settings: The settings of heliograph.
        variables: The variables of OpenTelemetry that are set.
        routes: The owners of the providers of this process, and where these export to.
        record: The test records.
        tests: The tests of the endpoints.
        arrivals: The results of asking the backends.
        findings: All findings, including the findings of the tests and of the backends.
    """

    versions: Mapping[str, str]
    settings: Sequence[ShownSetting]
    variables: Sequence[ShownSetting]
    routes: Sequence[Route]
    record: TestRecord
    tests: Sequence[Test]
    arrivals: Sequence[BackendResult]
    findings: Sequence[Finding]

    @property
    def is_well(self) -> bool:
        """True if no finding is a problem."""
        return not any(finding.kind.is_problem for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return the report as a document of JSON."""
        return {
            "ok": self.is_well,
            "versions": dict(self.versions),
            "settings": [asdict(each) for each in (*self.settings, *self.variables)],
            "providers": {
                each.signal.value: {"owner": each.owner or None, "destinations": list(each.destinations)}
                for each in self.routes
            },
            "record": {
                "name": NAME,
                "service": self.record.service,
                "uid": self.record.uid,
                "trace_id": self.record.trace_id,
            },
            "tests": [_test_document(each) for each in self.tests],
            "backends": [_arrival_document(each) for each in self.arrivals],
            "findings": [_finding_document(each) for each in self.findings],
        }

    def lines(self) -> Iterator[str]:
        """Yield the report as lines for people."""
        yield "Versions"
        yield "  " + ", ".join(f"{name} {version}" for name, version in self.versions.items())
        yield from self._settings_lines()
        yield "Providers"
        for route in self.routes:
            yield f"  {route.signal.value:<8} {_owner_text(route)}"
        yield f"Test records ({NAME}; service {self.record.service}, trace {self.record.trace_id})"
        for test in self.tests:
            yield f"  {test.target.signal.value:<8} {_endpoint_text(test.target)}: {_outcome(test)}"
        if not self.tests:
            yield "  none was sent"
        if self.arrivals:
            yield "Backends"
        for arrival in self.arrivals:
            yield f"  {arrival.backend or 'unknown'} at {arrival.url}: {_stored(arrival)}"
        yield "Findings"
        for finding in self.findings:
            yield from _finding_lines(finding)
        yield "  All is well." if self.is_well else "  Something is wrong."

    def _settings_lines(self) -> Iterator[str]:
        yield "Settings"
        chosen = [each for each in self.settings if each.source != "default"]
        for each in (*chosen, *self.variables):
            yield f"  {each.name} = {each.value} ({each.source}{'' if each.usable else ', not usable'})"
        yield f"  {len(self.settings) - len(chosen)} settings of heliograph have their defaults"


def _owner_text(route: Route) -> str:
    if not route.owner:
        return "none is set in this process; configure() and the Datasette plugin set one"
    to = f", to {', '.join(route.destinations)}" if route.destinations else ""
    return f"set by {route.owner}{to}"


def _endpoint_text(target: ExportTarget) -> str:
    destination = target.destination
    headers = f", headers {', '.join(destination.headers)}" if destination.headers else ""
    proxy = f", proxy {shown_endpoint(destination.proxy)}" if destination.proxy else ""
    return f"{shown_endpoint(destination.url)} ({destination.protocol.value}, from {target.source}{headers}{proxy})"


def _outcome(test: Test) -> str:
    return "accepted" if test.finding is None else f"NOT ACCEPTED, {test.finding.kind.id}"


def _stored(arrival: BackendResult) -> str:
    if arrival.finding is None:
        return "stored"
    return f"{_NOT_AS_SENT[arrival.finding.kind]}, {arrival.finding.kind.id}"


_NOT_AS_SENT: Final = {
    findings.NOT_STORED: "NOT STORED",
    findings.NAME_DROPPED: "STORED WITHOUT THE NAME OF THE EVENT",
    findings.NO_QUERY_API: "NOT KNOWN",
}
"""The words of the report for a backend with a problem."""


def _finding_lines(finding: Finding) -> Iterator[str]:
    mark = "" if finding.kind.is_problem else " (information, not a problem)"
    yield f"  {finding.kind.id} {finding.subject}: {finding.kind.title}{mark}"
    yield f"       {finding.detail}"
    yield f"       {finding.kind.fix}"


def _finding_document(finding: Finding) -> dict[str, Any]:
    kind = finding.kind
    return {
        "id": kind.id,
        "problem": kind.is_problem,
        "subject": finding.subject,
        "title": kind.title,
        "detail": finding.detail,
        "fix": kind.fix,
    }


def _arrival_document(arrival: BackendResult) -> dict[str, Any]:
    return {
        "url": arrival.url,
        "backend": arrival.backend or None,
        "stored": arrival.finding is None,
        "finding": arrival.finding.kind.id if arrival.finding else None,
    }


def _test_document(test: Test) -> dict[str, Any]:
    destination = test.target.destination
    return {
        "signal": test.target.signal.value,
        "protocol": destination.protocol.value,
        "endpoint": shown_endpoint(destination.url),
        "source": test.target.source,
        "headers": list(destination.headers),
        "accepted": test.finding is None,
        "finding": test.finding.kind.id if test.finding else None,
    }
