"""Measure the CPU time of sending a record that waits on the disk: read, checked, joined to a request, and sent.

It is compared, in the same run, with the least that any journal would have to do for the same bytes: read them in large pieces, compute
a checksum over each piece, and send it. The server runs in its own process and responds at once. The goal is a multiple of that
least time. (With an object for each record, it was 5.2 to 6.4.)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from opentelemetry._logs import LogRecord
from parts.accepting import accepting
from parts.orders import ATTRIBUTES

from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field
from heliograph.delivery.journal.batch import to_request
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.sending.destination_state import MAX_BATCH_BYTES
from heliograph.delivery.sending.sender import MAX_BATCH_RECORDS
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.http import HttpTransport

GOAL = 4.5
RECORDS = 100_000
ROUNDS = 9


def write(folder: Path) -> None:
    """Write the records that wait."""
    writer = JournalWriter(folder, Header(resource=encode_resource({"service.name": "benchmark"})))
    scope = Scope(scope=encode_scope("benchmark", "1"))
    record = LogRecord(
        timestamp=time.time_ns(), body="order 4711 shipped", attributes=ATTRIBUTES, event_name="shop.order_shipped"
    )
    encoded = entry_field(encode_log_record(record))
    for _ in range(RECORDS):
        writer.append(scope, encoded)
    writer.close()


def requests(folder: Path) -> Iterator[bytes]:
    """Yield the requests that the outbox sends."""
    reader = JournalReader(folder, is_live=False, read_only=True)
    records = 0
    while batch := reader.read(max_bytes=MAX_BATCH_BYTES, max_records=MAX_BATCH_RECORDS):
        records += len(batch.entries)
        yield to_request(batch.header, batch.entries)
    assert records == RECORDS


def pieces(folder: Path) -> Iterator[bytes]:
    """Yield the same bytes in large pieces, with one checksum over each."""
    for path in sorted(folder.glob("*.journal")):
        with path.open("rb") as file:
            while piece := file.read(MAX_BATCH_BYTES):
                crc32(piece)
                yield piece


def cpu_micros(bodies: Iterator[bytes], transport: HttpTransport) -> float:
    """Return the CPU time for a record, in µs."""
    before = time.process_time()
    for body in bodies:
        transport.send(body, 30)
    return (time.process_time() - before) / RECORDS * 1e6


def main() -> int:
    """Print the figures. Return 1 if the goal was missed."""
    with accepting() as url, tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "outbox" / "1-00000000"
        folder.mkdir(parents=True, mode=0o700)
        write(folder)
        transport = HttpTransport(Destination(protocol=OtlpProtocol.HTTP, url=f"{url}/v1/logs"))
        rounds = [[cpu_micros(bodies(folder), transport) for bodies in (requests, pieces)] for _ in range(ROUNDS)]
        transport.close()
    own, least = (statistics.median(side) for side in zip(*rounds))
    ratio = statistics.median(own / least for own, least in rounds)
    print(f"outbox {own:.2f} µs a record, the same bytes without records {least:.2f} µs")
    print(f"ratio  {ratio:.2f} (goal: at most {GOAL})")
    return int(ratio > GOAL)


if __name__ == "__main__":
    sys.exit(main())
