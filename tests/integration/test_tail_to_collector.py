"""`heliograph tail --forward` between a program and a real Collector."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import uuid4

import pytest

from backends import Collector, wait_until
from cli.tails import EXIT_SECONDS, tailing
from processes import otlp, program_environment, run

PROGRAM = """
from dataclasses import dataclass
from heliograph import Event, acting_as, configure

@dataclass
class Ban(Event):
    name = "ban-user"
    username: str

with configure(events=[Ban]) as host, acting_as({"id": "root"}):
    host.track(Ban(username="cleverbot"))
    assert host.flush()
"""


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_events_are_printed_and_arrive(tmp_path: Path, collector: Collector, protocol: str) -> None:
    """Both protocols are forwarded, compressed. The program's flush is True, so the Collector has accepted everything."""
    service = f"forum-{uuid4()}"
    options = ("--forward", collector.otlp_http_endpoint, "--forward-grpc", collector.otlp_grpc_endpoint)
    with tailing(tmp_path, *options) as tail:
        endpoint = f"http://{tail.grpc_endpoint}" if protocol == "grpc" else tail.endpoint
        variables = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_SERVICE_NAME": service,
        }
        ran = run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=program_environment(**otlp(endpoint, **variables)))
        assert ran.returncode == 0, ran.stderr
        [line] = tail.wait_for_lines(1)
        assert tail.end() == 0

    assert line.split()[1:4] == ["app.ban_user", "root", "ban-user"]

    def arrived() -> list[str]:
        return [each.event_name for each in collector.logs() if each.resource.get("service.name") == service]

    wait_until(arrived, timeout_seconds=EXIT_SECONDS)
    assert arrived() == ["app.ban_user"]
