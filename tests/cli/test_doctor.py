"""`heliograph doctor`: its exit status, its two forms of output, and a canary that is in none of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from backends import Collector, VictoriaLogs, free_port
from doctor.wrong_servers import responding, responding_to_credentials
from forked import run
from heliograph.cli.main import cli
from processes import clean_environment


def test_all_is_well(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 0 if each signal was accepted."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.otlp_http_endpoint)
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    document = json.loads(result.output)

    assert result.exit_code == 0
    assert document["ok"]
    assert [test["accepted"] for test in document["tests"]] == [True, True, True]


def test_something_is_wrong(tmp_path: Path) -> None:
    """The exit status is 1, and nothing is on the standard error: no line of gRPC's own."""
    for protocol in ("grpc", "http/protobuf"):
        environ = clean_environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"https://localhost:{free_port()}",
            OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
            OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer canary-7f3a",
            HELIOGRAPH_SECRET="canary-7f3a",
        )
        ran = run([sys.executable, "-m", "heliograph", "doctor"], cwd=tmp_path, env=environ)

        assert (ran.returncode, ran.stderr) == (1, "")
        assert "H020 traces, metrics, logs: The endpoint cannot be reached" in ran.stdout
        assert "OTEL_EXPORTER_OTLP_HEADERS = authorization=… (environment)" in ran.stdout
        assert "canary" not in ran.stdout


def test_kind_of_backend_without_a_backend() -> None:
    """`--backend` without `--arrived` is wrong usage, and nothing is sent."""
    result = CliRunner().invoke(cli, ["doctor", "--backend", "jaeger"])

    assert result.exit_code == 2
    assert "--backend is the kind of the one backend that --arrived names" in result.output


def test_backend_is_asked(victorialogs: VictoriaLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind of the backend is found out, or named."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", victorialogs.logs_endpoint)
    for signal in ("TRACES", "METRICS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    for options in ([], ["--backend", "victorialogs", "--timeout", "20"]):
        result = CliRunner().invoke(cli, ["doctor", "--arrived", victorialogs.url, *options, "--json"])

        assert result.exit_code == 0
        [backend] = json.loads(result.output)["backends"]
        assert backend == {"url": victorialogs.url, "backend": "victorialogs", "stored": True, "finding": None}


def test_credentials_of_a_query_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials reach the backend, from the option, the variable or the URL, and are in no output."""
    canary = "canary-7f3a"
    for signal in ("TRACES", "METRICS", "LOGS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    with responding(401) as url, responding_to_credentials() as (closed_url, seen):
        outputs = [
            CliRunner().invoke(cli, ["doctor", "--arrived", each, "--timeout", "0", *options], env=environ).output
            for each, options, environ in [
                (url, ["--arrived-headers", f"authorization=Bearer%20{canary}"], {}),
                (closed_url, ["--arrived-headers", f"authorization=Bearer%20{canary}"], {}),
                (closed_url, [], {"HELIOGRAPH_DOCTOR_HEADERS": f"authorization=Bearer%20{canary}"}),
                (closed_url.replace("://", f"://me:{canary}@"), ["--json"], {}),
            ]
        ]

    assert set(seen) == {f"Bearer {canary}", "Basic bWU6Y2FuYXJ5LTdmM2E="}
    assert canary not in "".join(outputs)
    assert "H042" in outputs[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arrived", "http://a", "--arrived", "http://b", "--arrived-headers", "x=canary"], "for the one backend"),
        (["--arrived", "http://a", "--arrived-headers", "canary"], "entry 1 of the list (not shown"),
    ],
)
def test_headers_that_cannot_be_used(options: list[str], message: str) -> None:
    """Wrong headers are wrong usage: nothing is sent, and no value is shown."""
    result = CliRunner().invoke(cli, ["doctor", *options])

    assert result.exit_code == 2
    assert message in result.output
    assert "canary" not in result.output


def test_endpoints_of_a_configuration_file(collector: Collector, tmp_path: Path) -> None:
    """Every endpoint of the file is tested. No header of the file is shown, even if the server repeats it."""
    canary = "canary-7f3a"
    with responding(401) as url:
        file = tmp_path / "otel.yaml"
        file.write_text(
            f"""
file_format: "1.0"
tracer_provider:
  processors: [{{batch: {{exporter: {{otlp_grpc: {{endpoint: "{collector.otlp_grpc_endpoint}"}}}}}}}}]
logger_provider:
  processors:
  - batch:
      exporter:
        otlp_http: {{endpoint: "{url}/v1/logs", headers: [{{name: authorization, value: Bearer {canary}}}]}}
"""
        )
        ran = run(
            [sys.executable, "-m", "heliograph", "doctor"],
            cwd=tmp_path,
            env=clean_environment(OTEL_CONFIG_FILE="otel.yaml", NO_PROXY="127.0.0.1"),
        )

    assert (ran.returncode, ran.stderr) == (1, "")
    assert re.search(r"traces +http://\S+ \(grpc, from otel\.yaml\): accepted", ran.stdout)
    assert "(http/protobuf, from otel.yaml, headers authorization)" in ran.stdout
    assert "H030 logs" in ran.stdout
    assert canary not in ran.stdout


def doctor_of_datasette(directory: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "heliograph", "doctor", "--datasette", *options]
    return run(command, cwd=directory, env=clean_environment(DATASETTE_LOAD_PLUGINS="heliograph", **environ))


def test_datasette_with_a_configuration(collector: Collector, tmp_path: Path) -> None:
    """Datasette is started as by `datasette serve`, with plugins and two files, of which the later wins. Its providers are shown."""
    (tmp_path / "datasette.yaml").write_text("plugins:\n  heliograph:\n    namespace: forum\n    validation: strict\n")
    (tmp_path / "here.yaml").write_text("plugins:\n  heliograph:\n    validation: quarantine\n")
    (tmp_path / "plugins").mkdir()
    ran = doctor_of_datasette(
        tmp_path,
        *("datasette.yaml", "here.yaml", "--plugins-dir", "plugins", "--json"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.otlp_http_endpoint,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=canary-7f3a",
    )
    document = json.loads(ran.stdout)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert document["providers"]["logs"] == {
        "owner": "heliograph",
        "destinations": [f"{collector.otlp_http_endpoint}/v1/logs"],
    }
    for name, value in {"HELIOGRAPH_NAMESPACE": "forum", "HELIOGRAPH_VALIDATION": "quarantine"}.items():
        shown = {"name": name, "value": value, "source": "configuration", "usable": True}
        assert shown in document["settings"]
    assert document["record"]["service"] == "datasette"
    assert "canary" not in ran.stdout


def test_datasette_that_does_not_start(tmp_path: Path) -> None:
    """A Datasette that does not start is one finding, and the environment is examined nevertheless."""
    (tmp_path / "datasette.yaml").write_text("plugins:\n  heliograph:\n    namespace: '!'\n")
    ran = doctor_of_datasette(tmp_path, "datasette.yaml", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")

    assert (ran.returncode, ran.stderr) == (1, "")
    assert "  H015 datasette: Datasette does not start\n" in ran.stdout
    assert "plugins.heliograph.namespace: '!' must be lower-case words" in ran.stdout
    assert "  H020 traces, metrics, logs" in ran.stdout


def test_configuration_without_datasette(tmp_path: Path) -> None:
    """A configuration without `--datasette` is wrong usage."""
    (tmp_path / "datasette.yaml").touch()
    result = CliRunner().invoke(cli, ["doctor", str(tmp_path / "datasette.yaml")])

    assert result.exit_code == 2
    assert "CONFIG and --plugins-dir are for --datasette" in result.output
