"""Measure the cost of a backlog of waiting records: `python benchmarks/backlog.py [RECORDS]` (default: 200,000).

First, the records are emitted into an outbox without a server. Then rounds of further records go, by turns, into this outbox
and into an empty one: the median of the ratios of the emitting thread's CPU time is printed, and its goal is 1.1. Then a
server accepts all records. At last, the growth of the process's memory is printed; its goal is 64 MiB. The last line is
JSON for programs: the numbers of acknowledged, received and duplicate records.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.sdk._logs import LogRecordProcessor
from parts.accepting import COUNTED, accepting, counted
from parts.orders import emit, emit_numbered, logger_to

from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, OtlpProtocol

RECORDS = 200_000
ROUNDS = 40
ROUND = 5000
GOAL = 1.1
MEMORY_GOAL = 64 * 2**20
UNREACHABLE = "http://127.0.0.1:9/v1/logs"
MAX_BYTES = 2**40


def outbox(directory: Path, endpoint: str) -> OutboxLogRecordProcessor:
    """Return the processor of an outbox that is large enough for all records."""
    target = Destination(protocol=OtlpProtocol.HTTP, url=endpoint)
    return OutboxLogRecordProcessor(directory, destination=target, max_bytes=MAX_BYTES)


def thread_seconds(processor: LogRecordProcessor) -> float:
    """Return the CPU time of the emitting thread for a round."""
    logger = logger_to(processor)
    before = time.thread_time()
    emit(logger, ROUND)
    return time.thread_time() - before


def peak_memory() -> int:
    """Return the peak memory of the process, in bytes.

    `/proc` is preferred, because `ru_maxrss` starts with the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def compare_emit(full: LogRecordProcessor, empty: LogRecordProcessor) -> float:
    """Print the CPU time for a record with and without a backlog, and return the ratio."""
    rounds = [(thread_seconds(empty), thread_seconds(full)) for _ in range(ROUNDS)]
    none, many = (statistics.median(side) / ROUND * 1e6 for side in zip(*rounds))
    ratio = statistics.median(full / empty for empty, full in rounds)
    print(f"  emit, none waits     {none:6.2f} µs a record")
    print(f"  emit, they wait      {many:6.2f} µs a record")
    print(f"  ratio                {ratio:6.2f}    (goal: at most {GOAL})")
    return ratio


def drain(directory: Path, url: str) -> tuple[int, int]:
    """Print the speed of sending the backlog. Return the number of records that arrived, and of different ids among them."""
    began = time.perf_counter()
    processor = outbox(directory, url + COUNTED)
    emit(logger_to(processor), 1)
    while processor.depth or not processor.force_flush(1000):
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    processor.shutdown()
    arrived = counted(url)
    print(f"  drained              {arrived.records:,} records arrive, {arrived.records / seconds:,.0f} a second")
    return arrived.records, arrived.distinct


def main() -> int:
    """Print the figures. Return 1 if a goal was missed."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    with accepting() as url, tempfile.TemporaryDirectory() as directory:
        full, empty = Path(directory) / "full", Path(directory) / "empty"
        processor, other = outbox(full, UNREACHABLE), outbox(empty, UNREACHABLE)
        thread_seconds(processor), thread_seconds(other)
        before = peak_memory()
        emit_numbered(logger_to(processor), records)
        print(f"{records:,} records wait")
        ratio = compare_emit(processor, other)
        other.shutdown(0)
        processor.shutdown(0)
        arrived, distinct = drain(full, url)
    grown = peak_memory() - before
    print(f"  memory grew by       {grown / 2**20:.1f} MiB    (goal: at most {MEMORY_GOAL / 2**20:.0f})")
    duplicates = arrived - (records + (ROUNDS + 1) * ROUND + 1)
    print(json.dumps({"acknowledged": records, "received": distinct, "duplicates": duplicates}))
    return int(ratio > GOAL or grown > MEMORY_GOAL or distinct < records)


if __name__ == "__main__":
    sys.exit(main())
