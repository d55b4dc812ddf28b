"""Providers from the file of `OTEL_CONFIG_FILE`, in the environment that the specification describes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from heliograph import SettingsError
from heliograph.sdk import declarative
from heliograph.sdk.exporters import TelemetrySignal
from otlp_receiver import Receiver
from scripts import python

TRACES = """
tracer_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/traces"}}}}}}
"""
LOGS = """
logger_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/logs"}}}}}}
"""
HEAD = """
file_format: "1.0"
resource:
  attributes:
    - {{name: service.name, value: from-the-file}}
"""

WORK = """
from opentelemetry import trace
with configure(plugins=[Plugin()]) as host:
    with trace.get_tracer("tests").start_as_current_span("work"):
        host.track(Tick(n=1))
    report(flushed=host.flush())
"""

CATCH = """
from heliograph import SettingsError
for file in sys.argv[1:]:
    os.environ["OTEL_CONFIG_FILE"] = file
    try:
        configure(plugins=[Plugin()])
    except SettingsError as error:
        report(problems=list(error.problems))
"""

UNUSABLE = {
    "missing": (None, "otel.yaml' cannot be used: "),
    "another format": ("file_format: 7\n", "otel.yaml' cannot be used: "),
    "an unknown exporter": (HEAD + TRACES.replace("otlp_http", "pigeon"), "pigeon"),
    "another schema": (
        HEAD + "tracer_provider: [canary]",
        "it does not match OpenTelemetry's schema at tracer_provider (",
    ),
    "another syntax": (HEAD + "tracer_provider: {{canary", "it is not YAML (line "),
}
"""The content of files that cannot be used, and a part of their problem."""


def write(folder: Path, *parts: str, endpoint: str = "http://127.0.0.1:9") -> str:
    """Write the parts of a configuration into a file, and return its path."""
    file = folder / "otel.yaml"
    file.write_text("".join(parts).format(endpoint=endpoint))
    return str(file)


def test_file_sets_the_providers(tmp_path: Path, receiver: Receiver) -> None:
    """Events arrive as it says, and no other variable has an effect."""
    file = write(tmp_path, HEAD, TRACES, LOGS, endpoint=receiver.endpoint)

    ran = python(WORK, OTEL_CONFIG_FILE=file, OTEL_SERVICE_NAME="ignored", OTEL_LOGS_EXPORTER="none")

    assert ran.only == {"flushed": True}
    [span], [record] = receiver.spans(), receiver.logs()
    assert [event.name for event in span.events] == [record.event_name] == ["test.tick"]
    assert span.resource["service.name"] == record.resource["service.name"] == "from-the-file"


def test_provider_that_is_set_stays(tmp_path: Path, receiver: Receiver) -> None:
    """The file is used for the others, and nothing is built for that one."""
    file = write(tmp_path, HEAD, TRACES, LOGS, endpoint=receiver.endpoint)

    ran = python(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
mine = TracerProvider()
trace.set_tracer_provider(mine)
with configure(plugins=[Plugin()]) as host:
    host.track(Tick(n=1))
    report(mine=trace.get_tracer_provider() is mine, threads=[each.name for each in threading.enumerate()])
""",
        OTEL_CONFIG_FILE=file,
    )

    assert ran.only["mine"]
    assert not any("Span" in name for name in ran.only["threads"])
    assert len(receiver.logs()) == 1
    assert "Overriding" not in ran.stderr


def test_outbox_has_no_effect(tmp_path: Path) -> None:
    """The file sets up logs and traces; a warning for each says how to use an outbox nevertheless."""
    box = str(tmp_path / "box")
    ran = python(
        "configure(plugins=[Plugin()]).shutdown()",
        OTEL_CONFIG_FILE=write(tmp_path, HEAD, TRACES, LOGS),
        HELIOGRAPH_OUTBOX=box,
        # It has no effect beside the file, which exports logs.
        OTEL_LOGS_EXPORTER="none",
    )

    assert ran.stderr.count("the setting `outbox` has no effect") == 2
    assert f"call `provider.add_log_record_processor(OutboxLogRecordProcessor({box!r}))`" in ran.stderr
    assert f"call `provider.add_span_processor(OutboxSpanProcessor({box!r}))`" in ran.stderr


@pytest.mark.parametrize("content", ["", "disabled: true\n"], ids=["without providers", "disabled"])
def test_outbox_is_no_matter_without_providers(tmp_path: Path, content: str) -> None:
    """A file without a provider has nothing to add a processor to."""
    ran = python(
        "configure(plugins=[Plugin()]).shutdown()",
        OTEL_CONFIG_FILE=write(tmp_path, HEAD, content),
        HELIOGRAPH_OUTBOX=str(tmp_path / "box"),
    )

    assert "outbox" not in ran.stderr


def test_file_that_disables_telemetry(tmp_path: Path, receiver: Receiver) -> None:
    """Nothing is emitted, nothing is lost, and no warning asks for a provider."""
    file = write(tmp_path, HEAD, "disabled: true\n", TRACES, LOGS, endpoint=receiver.endpoint)

    ran = python(WORK, OTEL_CONFIG_FILE=file)

    assert ran.only == {"flushed": True}
    assert "Provider is set" not in ran.stderr
    assert (receiver.spans(), receiver.logs()) == ([], [])


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The problems of each unusable file, found in one process: it goes on as if it had not seen the one before."""
    files = []
    for name, (content, _) in UNUSABLE.items():
        folder = tmp_path_factory.mktemp(name)
        files.append(str(folder / "otel.yaml") if content is None else write(folder, content))
    ran = python(CATCH, *files)
    return dict(zip(UNUSABLE, [report["problems"] for report in ran.reports], strict=True))


@pytest.mark.parametrize("name", UNUSABLE)
def test_file_that_cannot_be_used_is_an_error(problems: dict[str, list[str]], name: str) -> None:
    """The error is one line with the file and the reason, and without the content."""
    [found] = problems[name]
    assert found.startswith("OTEL_CONFIG_FILE: ")
    assert UNUSABLE[name][1] in found
    assert "canary" not in found


def test_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to install the package."""
    monkeypatch.setitem(sys.modules, "opentelemetry.configuration", None)

    with pytest.raises(SettingsError, match=r"install opentelemetry-configuration .* or remove the variable"):
        declarative.set_up_from_file("otel.yaml", [TelemetrySignal.TRACES])
