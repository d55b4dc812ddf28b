"""The report as text and as JSON."""

from __future__ import annotations

from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.doctor import findings
from heliograph.doctor.effective import ShownSetting
from heliograph.doctor.findings import Finding
from heliograph.doctor.records import new_test_record
from heliograph.doctor.report import Report, Test
from heliograph.doctor.targets import ExportTarget
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.sdk.routes import Route

TARGET = ExportTarget(
    signal=TelemetrySignal.LOGS,
    destination=Destination(
        protocol=OtlpProtocol.HTTP,
        url="http://backend/v1/logs?key=canary",
        headers=Headers({"authorization": "canary"}),
        proxy="http://me:canary@proxy:8080",
    ),
    source="default",
)
REFUSED = Finding(kind=findings.FORBIDDEN, subject="logs", detail="HTTP 403")
NOTE = Finding(kind=findings.NOT_EXPORTED, subject="traces", detail="OTEL_TRACES_EXPORTER is none")


def report(*found: Finding, tests: tuple[Test, ...] = ()) -> Report:
    return Report(
        versions={"python": "3.11"},
        settings=[
            ShownSetting(name="HELIOGRAPH_NAMESPACE", value="shop", source="environment"),
            ShownSetting(name="HELIOGRAPH_TOKEN_TTL", value="0", source="environment", usable=False),
            ShownSetting(name="HELIOGRAPH_OUTBOX", value="none", source="default"),
        ],
        variables=[],
        routes=[
            Route(signal=TelemetrySignal.TRACES, owner="datasette-otel-viewer"),
            Route(signal=TelemetrySignal.METRICS, owner=""),
            Route(signal=TelemetrySignal.LOGS, owner="heliograph", destinations=("http://backend/v1/logs",)),
        ],
        record=new_test_record({"service.name": "shop"}),
        tests=tests,
        arrivals=[],
        findings=found,
    )


def test_lines_for_people() -> None:
    """Each finding has its id, its detail and its fix. Credentials are not shown."""
    lines = "\n".join(report(REFUSED, NOTE, tests=(Test(target=TARGET, finding=REFUSED),)).lines())

    assert (
        "  HELIOGRAPH_NAMESPACE = shop (environment)\n  HELIOGRAPH_TOKEN_TTL = 0 (environment, not usable)\n"
        "  1 settings of heliograph have their defaults\n"
    ) in lines
    assert (
        "  logs     http://backend/v1/logs (http/protobuf, from default, headers authorization, proxy http://proxy:8080): "
        "NOT ACCEPTED, H031\n"
    ) in lines
    assert "  traces   set by datasette-otel-viewer\n  metrics  none is set in this process" in lines
    assert "  logs     set by heliograph, to http://backend/v1/logs\n" in lines
    assert f"  H031 logs: {findings.FORBIDDEN.title}\n       HTTP 403\n       {findings.FORBIDDEN.fix}\n" in lines
    assert "  H006 traces: A signal is not exported (information, not a problem)\n" in lines
    assert lines.endswith("Something is wrong.")
    assert "canary" not in lines


def test_notes_are_no_problem() -> None:
    """A report whose only findings are notes says that all is well."""
    well = report(NOTE, tests=(Test(target=TARGET, finding=None),))

    assert well.is_well
    assert list(well.lines())[-1] == "  All is well."
    assert "  none was sent" in report(NOTE).lines()


def test_json() -> None:
    """The document has the content of the text."""
    document = report(REFUSED, tests=(Test(target=TARGET, finding=REFUSED),)).to_json()

    assert not document["ok"]
    assert document["providers"] == {
        "traces": {"owner": "datasette-otel-viewer", "destinations": []},
        "metrics": {"owner": None, "destinations": []},
        "logs": {"owner": "heliograph", "destinations": ["http://backend/v1/logs"]},
    }
    assert document["tests"] == [
        {
            "signal": "logs",
            "protocol": "http/protobuf",
            "endpoint": "http://backend/v1/logs",
            "source": "default",
            "headers": ["authorization"],
            "accepted": False,
            "finding": "H031",
        }
    ]
    assert document["findings"][0]["id"] == "H031"
    assert "canary" not in str(document)
