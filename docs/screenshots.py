"""Take the pictures of the pages in Datasette: ``docs/datasette-*.png``.

It needs Chromium in PATH, and the extra `datasette`. A real Datasette serves the pages on a free port, with an outbox that has a dead
letter, an event in the quarantine, recent events, and tokens; all of it is in a temporary folder.
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
PICTURES = {
    "datasette-telemetry": ("/-/heliograph", "", 1000, 1130),
    "datasette-events": (
        "/-/heliograph",
        "while (recent.previousElementSibling) recent.previousElementSibling.remove()",
        1000,
        910,
    ),
    "datasette-tokens": ("/-/heliograph/tokens", "", 1000, 465),
}
"""For each picture, the page, a script that changes it, the width and the height."""
START_SECONDS = 60

# What the pages show, made in the process that serves them, by the functions that programs call.
PLUGIN = """
import os
import random
import time
from pathlib import Path
from datasette import hookimpl
from heliograph import tokens
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.store import Quarantine
from heliograph.recent_events.record import RecentEvent
from heliograph.recent_events.store import Kind, RecentEventStore
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

    add_recent_events(RecentEventStore(Path(os.environ["HELIOGRAPH_RECENT_EVENTS"])), int(time.time() // 60))

    async def make_tokens():
        allowed = restrictions.TokenRestrictions().allow_all("view-instance")
        await tokens.issue(datasette, "alice", label="laptop", expires_after=30 * 24 * 60 * 60)
        await tokens.issue(datasette, "bob", label="nightly import", restrictions=allowed)
        old = await tokens.issue(datasette, "carol", label="old laptop")
        await tokens.revoke(datasette, old.id)

    return make_tokens

def add_recent_events(store, now):
    counts = {(now - 20, Kind.TOKEN, "invalid"): 9, (now - 21, Kind.TOKEN, "expired"): 2, (now - 3, Kind.EVENT, "datasette.alter_table"): 1}
    chance = random.Random(7)  # the same picture each time
    for age in range(1, 60):
        for kind, name, most in ((Kind.EVENT, "datasette.insert_rows", 12), (Kind.EVENT, "datasette.update_row", 7), (Kind.TOKEN, "valid", 11)):
            if count := chance.randrange(most):
                counts[now - age, kind, name] = count
    texts = (("update_row", "update-row"), ("insert_rows", "insert-rows"), ("update_row", "update-row"))
    events = [
        RecentEvent(
            time_unix_nano=(now * 60 - 90 + 31 * number) * 10**9,
            event_name="datasette." + name,
            actor="alice" if number else "bob",
            token_id=None if number else "k3fz2m81q0ab",
            body=body,
            trace_id=f"{number + 1:032x}",
            attributes='{"db.namespace":"shop","db.collection.name":"orders"}',
            omitted=0,
        )
        for number, (name, body) in enumerate(texts)
    ]
    store.put(os.getpid(), events, counts, minute=now)
"""
PERMISSIONS = {
    "permissions": {"heliograph-view": True, "heliograph-requeue": True, "heliograph-manage-all-tokens": True}
}


def main() -> None:
    """Serve the pages, and take a picture of each."""
    browser = find_browser()
    if browser is None:
        sys.exit("screenshots: needs Chromium, and there is no 'chromium' in PATH")
    with tempfile.TemporaryDirectory() as name:
        server, url = serve(Path(name))
        try:
            for picture, (path, script, *size) in PICTURES.items():
                options = (f"--window-size={size[0]},{size[1]}", f"--screenshot={DOCS / picture}.png")
                browse(browser, url + path, Path(name), *options, script=script)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def find_browser() -> str | None:
    """Return the path of Chromium, or `None` if it is not installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a Datasette in a folder. Return its process and its URL, when it answers, and has a failure to show."""
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
        "HELIOGRAPH_RECENT_EVENTS": "recent.db",
        "HELIOGRAPH_TOKEN_HANDLERS": "signed,database",
        "HELIOGRAPH_TOKEN_DATABASE": "tokens.db",
    }
    options = ["--plugins-dir", "plugins", "--config", "datasette.json", "--port", str(port), "--memory"]
    server = subprocess.Popen([sys.executable, "-m", "datasette", "serve", *options], cwd=folder, env=environment)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(URLError), urllib.request.urlopen(f"{url}/-/heliograph.json") as response:  # noqa: S310 — our own URL
            if json.load(response)["failures"]:  # the outbox has found no server
                return server, url
        time.sleep(0.1)
    server.kill()
    sys.exit("screenshots: Datasette did not start")


def browse(browser: str, url: str, folder: Path, *options: str, script: str = "") -> str:
    """Open a page in a browser without a window. Return what the browser prints.

    Args:
        browser: The program.
        url: The page.
        folder: A folder for the browser's own files.
        options: Options of the browser, such as the picture to be taken.
        script: A script that runs at the end of the page.
    """
    with urllib.request.urlopen(url) as response:  # noqa: S310 — our own URL
        html = response.read().decode()
    page = folder / "page.html"
    page.write_text(html.replace("<head>", f'<head><base href="{url}">') + f"<script>{script}</script>")
    common = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'browser'}",
    ]
    command = [browser, *common, *options, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
