"""Secrets in headers, in protected fields and in tokens appear in no file, no log and no error, whatever fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from delivery.servers import OK, Answer, serving
from otlp_receiver import Receiver
from processes import clean_environment, run
from scripts import PRELUDE

PROGRAM = """
import logging
from typing import Annotated
from heliograph import Attribute, Privacy, TokenInvalid

logging.basicConfig(level=logging.DEBUG)

@dataclass
class PaidEvent(Event, namespace="test"):
    name = "paid"
    card: Annotated[str, Attribute(privacy=Privacy.MASK)]
    account: Annotated[str, Attribute(privacy=Privacy.HASH)]
    pin: Annotated[str, Attribute(privacy=Privacy.DROP)]
    odd: dict

class Paid:
    @hookimpl
    def register_events(self):
        return [PaidEvent]

host = configure(plugins=[Paid()])
token = host.call(host.create_token, "root")
report(token=token)
actor = host.call(host.verify_token, token)
try:
    host.call(host.verify_token, token[:-4] + "AAAA")
except TokenInvalid as error:
    logging.error("refused: %s", error)
for number in range(20):
    host.track(PaidEvent("canary-card", "canary-account", "canary-pin", {"x": object()}, actor={**actor, "token": token}))
report(flushed=host.flush(2000))
host.shutdown()
"""
ANSWERS = {
    "400": (400, {"Content-Type": "text/plain"}, b"bad key: canary-header"),
    "401": (401, {}, b"canary-header is no key"),
    "503": (503, {}, b"canary-header"),
    "200": OK,
}


@pytest.mark.parametrize("status", ANSWERS)
def test_secrets(tmp_path: Path, status: str) -> None:
    """A secret is in no file and no log, even if the server repeats it and everything is logged at the level DEBUG."""
    answer: Answer = ANSWERS[status]
    with serving(lambda number, records: answer) as server, Receiver() as receiver:
        environment = clean_environment(
            OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=server.endpoint,
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.endpoint}/v1/traces",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{receiver.endpoint}/v1/metrics",
            OTEL_EXPORTER_OTLP_LOGS_HEADERS="x-key=canary-header",
            HELIOGRAPH_OUTBOX=str(tmp_path / "box"),
            HELIOGRAPH_SECRET="canary-secret",
            HELIOGRAPH_PRIVACY_KEY="canary-privacy-key",
            HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="2000",
            NO_PROXY="127.0.0.1",
        )
        ended = run([sys.executable, "-c", PRELUDE + PROGRAM], cwd=tmp_path, env=environment)
        assert ended.returncode == 0, ended.stderr
        sent = receiver.raw()
    [token] = [line.split('"')[3] for line in ended.stdout.splitlines() if "token" in line]
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    wire = b"".join(server.raw)

    assert server.headers[0]["x-key"] == "canary-header"
    assert wire
    for place in (files, wire, sent, ended.stderr.encode()):
        assert b"canary" not in place
        assert token.encode() not in place
        assert token.encode()[:-8] not in place
