"""Take the pictures of the pages in Datasette: ``docs/datasette-telemetry.png`` and ``docs/datasette-tokens.png``.

It needs Chromium in PATH, and the extra `datasette`. A real Datasette serves the pages on a free port, with an outbox that has a dead
letter, an event in the quarantine, and tokens; all of it is in a temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

DOCS = Path(__file__).resolve().parent
SIZES = {"datasette-telemetry": (1000, 1180), "datasette-tokens": (1000, 430)}
PATHS = {"datasette-telemetry": "/-/heliograph", "datasette-tokens": "/-/heliograph/tokens"}
START_SECONDS = 60

# What the pages show, made in the process that serves them, by the functions that programs call.
PLUGIN = """
import os
from datetime import datetime, timezone
from pathlib import Path
from datasette import hookimpl
from heliograph import tokens
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.store import Quarantine
from heliograph.tokens import restrictions
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.trace import INVALID_SPAN_CONTEXT

@hookimpl
def actor_from_request():
    return {"id": "alice"}

@hookimpl
def startup(datasette):
    box = OutboxDirectory(Path(os.environ["HELIOGRAPH_OUTBOX"]), max_bytes=10**9)
    record = LogRecord(event_name="shop.order_placed", time_unix_nano=1_790_000_000_000_000_000)
    record.attributes.add(key="log.record.uid").value.string_value = "019b7c3f-9e88-7000-8000-000000000000"
    entry = Entry(0, Scope(scope=b""), b"\\x12" + bytes([record.ByteSize()]) + record.SerializeToString())
    box.dead_letters.put(Header(resource=b""), entry, reason="bad_data", message="")
    Quarantine(os.environ["HELIOGRAPH_QUARANTINE"]).put(InvalidRecord(
        uid="019b7c3f-9e88-7000-8000-000000000001", event_name="shop.order_placed", version="1",
        event_class="shop.OrderPlaced", time_unix_nano=1_790_000_000_000_000_000, actor=None,
        properties={"total": -1}, violations=["number-out-of-range: total"], span=INVALID_SPAN_CONTEXT))

    async def make_tokens():
        allowed = restrictions.TokenRestrictions().allow_all("view-instance")
        await tokens.issue(datasette, "alice", label="laptop", expires_after=30 * 24 * 60 * 60)
        await tokens.issue(datasette, "bob", label="nightly import", restrictions=allowed)
        old = await tokens.issue(datasette, "carol", label="old laptop")
        await tokens.revoke(datasette, old.id)

    return make_tokens
"""
PERMISSIONS = {
    "permissions": {"heliograph-view": True, "heliograph-requeue": True, "heliograph-manage-all-tokens": True}
}


def main() -> None:
    """Serve the pages, and take a picture of each."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("screenshots: needs Chromium, and there is no 'chromium' in PATH")
    with tempfile.TemporaryDirectory() as name:
        server, url = serve(Path(name))
        try:
            for picture, path in PATHS.items():
                take(browser, url + path, DOCS / f"{picture}.png", SIZES[picture], Path(name))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a Datasette in a folder. Return its process and its URL, when it answers."""
    (folder / "plugins").mkdir()
    (folder / "plugins" / "sample.py").write_text(PLUGIN)
    (folder / "datasette.json").write_text(json.dumps(PERMISSIONS))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "HELIOGRAPH_"))},
        "DATASETTE_LOAD_PLUGINS": "heliograph",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "HELIOGRAPH_OUTBOX": "outbox",
        "HELIOGRAPH_QUARANTINE": "quarantine.db",
        "HELIOGRAPH_TOKEN_HANDLERS": "signed,database",
        "HELIOGRAPH_TOKEN_DATABASE": "tokens.db",
    }
    options = ["--plugins-dir", "plugins", "--config", "datasette.json", "--port", str(port), "--memory"]
    server = subprocess.Popen([sys.executable, "-m", "datasette", "serve", *options], cwd=folder, env=environment)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(URLError), urllib.request.urlopen(f"{url}/-/versions.json"):  # noqa: S310 — our own URL
            return server, url
        time.sleep(0.1)
    server.kill()
    sys.exit("screenshots: Datasette did not start")


def take(browser: str, url: str, target: Path, size: tuple[int, int], folder: Path) -> None:
    """Write a picture of a page."""
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'browser'}",
    ]
    window = f"--window-size={size[0]},{size[1]}"
    subprocess.run([browser, *options, window, f"--screenshot={target}", url], check=True, capture_output=True)


if __name__ == "__main__":
    main()
