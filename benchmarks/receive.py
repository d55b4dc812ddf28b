"""Count the records that `heliograph tail --database` stores of a fast stream, and measure its speed.

The command runs in its own process, and two processes send to it over HTTP, with requests that were made beforehand. First 10,000 log
records with their span events a second, in requests of 512, for 30 seconds. Then 2,000 requests a second with one record each, for 10.
A request that is refused for now is sent again. All records must be stored; the goal is that the senders keep their pace. The tests run it
for a shorter time, and look at the counts alone.
"""

from __future__ import annotations

import http.client
import multiprocessing
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

POSTERS = 2
RECORDS = 512
EVENTS_OF_A_SPAN = 2
RECORDS_A_SECOND = 10_000
SINGLES_A_SECOND = 2_000
SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 30
KEPT_PACE = 1.05
LIMIT_SECONDS = 600


class Request(NamedTuple):
    """A request: its path and its body."""

    path: str
    body: bytes


def attributes(uid: str) -> list[KeyValue]:
    """Return the attributes of a usual event."""
    texts = {
        "log.record.uid": uid,
        "user.id": "ada",
        "heliograph.token.id": "3JmZk0sR8fQa",
        "forum.ban_user.user.id": "7",
        "forum.ban_user.user.username": "cleverbot",
        "forum.ban_user.reason": "spam",
    }
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in texts.items()]


def log_request(uids: list[str]) -> Request:
    """Return a request with a log record for each id."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for uid in uids:
        record = scope.log_records.add(event_name="forum.ban_user", time_unix_nano=time.time_ns(), trace_id=b"t" * 16)
        record.body.string_value = "ada banned cleverbot"
        record.attributes.extend(attributes(uid))
    return Request("/v1/logs", request.SerializeToString())


def span_request(uids: list[str]) -> Request:
    """Return a request with a span event for each id, on spans of two events."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for start in range(0, len(uids), EVENTS_OF_A_SPAN):
        span = scope.spans.add(name="POST /ban", trace_id=b"t" * 16, start_time_unix_nano=time.time_ns())
        span.span_id = int(uids[start]).to_bytes(8, "big")
        for uid in uids[start : start + EVENTS_OF_A_SPAN]:
            span.events.add(name="forum.ban_user", time_unix_nano=time.time_ns()).attributes.extend(attributes(uid))
    return Request("/v1/traces", request.SerializeToString())


def in_groups(poster: int) -> list[Request]:
    """Return the requests of 512 records, and those of their span events."""
    first = poster * 100_000_000
    groups = RECORDS_A_SECOND * SECONDS // POSTERS // RECORDS
    requests = []
    for group in range(groups):
        uids = [str(first + group * RECORDS + number) for number in range(RECORDS)]
        requests += [log_request(uids), span_request(uids)]
    return requests


def singly(poster: int) -> list[Request]:
    """Return requests of one record."""
    first = 1_000_000_000 + poster * 100_000_000
    return [log_request([str(first + number)]) for number in range(SINGLES_A_SECOND * SECONDS // 3 // POSTERS)]


def post(
    endpoint: str, made: Callable[[int], list[Request]], poster: int, *, seconds: float, ready: Any, results: Any
) -> None:
    """Send requests at an even pace, or as fast as possible if that is late."""
    requests, refused = made(poster), 0
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
    ready.wait()
    begun = time.monotonic()
    with closing(connection):
        for number, request in enumerate(requests):
            time.sleep(max(0.0, begun + number * seconds / len(requests) - time.monotonic()))
            while True:
                connection.request("POST", request.path, request.body, {"Content-Type": "application/x-protobuf"})
                response = connection.getresponse()
                response.read()
                if response.status == HTTPStatus.OK:
                    break
                assert response.status == HTTPStatus.SERVICE_UNAVAILABLE, response.status
                refused += 1
                time.sleep(float(response.headers["Retry-After"]))
    results.put((len(requests), refused, time.monotonic() - begun))


def send(endpoint: str, made: Callable[[int], list[Request]], seconds: float) -> float:
    """Run the senders, print their pace, and return the time that they took as a share of the planned time."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(POSTERS), context.Queue()
    posters = [
        context.Process(
            target=post, args=(endpoint, made, number), kwargs={"seconds": seconds, "ready": ready, "results": results}
        )
        for number in range(POSTERS)
    ]
    for each in posters:
        each.start()
    ended = [results.get(timeout=LIMIT_SECONDS) for _ in posters]
    for each in posters:
        each.join(LIMIT_SECONDS)
    took = max(took for _, _, took in ended)
    print(f"  {sum(sent for sent, _, _ in ended)} requests in {took:.1f} s (planned: {seconds:.0f} s)", end=", ")
    print(f"{sum(refused for _, refused, _ in ended)} refused for now and sent again")
    return took / seconds


@contextmanager
def tail(folder: Path):  # noqa: ANN201 — a generator of the endpoint
    """Run the command, and yield its endpoint."""
    command = [sys.executable, "-m", "heliograph", "tail", "--port", "0", "--grpc-port", "0", "--database", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stderr is not None
    try:
        yield re.findall(r"http://\S+", process.stderr.readline())[0]
    finally:
        process.terminate()
        print("  " + process.communicate(timeout=LIMIT_SECONDS)[1].splitlines()[-1])


def main() -> None:
    """Send both streams, and count what is stored."""
    with tempfile.TemporaryDirectory() as folder:
        with tail(Path(folder)) as endpoint:
            print(f"{RECORDS_A_SECOND} records and span events a second, in requests of {RECORDS}, {SECONDS} s")
            grouped = send(endpoint, in_groups, SECONDS)
            print(f"{SINGLES_A_SECOND} requests of one record a second, {SECONDS // 3} s")
            single = send(endpoint, singly, SECONDS / 3)
        with closing(sqlite3.connect(Path(folder) / "events.db")) as connection:
            [records] = connection.execute("select count(distinct uid) from events").fetchone()
            [span_events] = connection.execute("select count(distinct uid) from span_events").fetchone()
    groups = RECORDS_A_SECOND * SECONDS // POSTERS // RECORDS * RECORDS * POSTERS
    singles = SINGLES_A_SECOND * SECONDS // 3 // POSTERS * POSTERS
    print(f"records stored      {records} of {groups + singles}")
    print(f"span events stored  {span_events} of {groups}")
    kept = max(grouped, single) <= KEPT_PACE
    print(f"pace kept           {'yes' if kept else 'no'}    (goal: at most {KEPT_PACE} of the planned time)")
    sys.exit(not (kept and (records, span_events) == (groups + singles, groups)))


if __name__ == "__main__":
    main()
