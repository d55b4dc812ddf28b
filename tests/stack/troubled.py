"""A program with faults of many kinds: `troubled.py well` can reach the Collector, `troubled.py cut-off` cannot send its events, and
`troubled.py forum` does what the demo does.

It prints a line when all of it has happened, and goes on reporting metrics until its standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry._logs import LogRecord, get_logger
from opentelemetry.metrics import get_meter_provider

from heliograph import Event, Host, TokenHandler, TokenInvalid, acting_as, configure, hookimpl, tokens
from heliograph.demo import forum

ORDERS = 1_500
WAITING = 10_000
REJECTED = 30
STALE_SECONDS = 600
TOO_LARGE_BYTES = 3_500_000
"""The size of a record that the Collector of the tests rejects."""


@dataclass
class OrderEvent(Event, namespace="shop"):
    """Somebody ordered."""

    name = "order"
    number: int
    total: float = 1.5
    currency: str = "EUR"


class BrokenHandler(TokenHandler):
    """A handler whose database is gone."""

    name = "broken"

    async def verify_token(self, datasette: object, token: str) -> None:
        if token.startswith("broken_"):
            raise OSError("the database is gone")


class Troubled:
    @hookimpl
    def register_events(self) -> list[type]:
        return [OrderEvent]

    @hookimpl
    def register_token_handler(self) -> TokenHandler:
        return BrokenHandler()

    @hookimpl
    def track_event(self, event: Event) -> None:
        if isinstance(event, OrderEvent) and event.total < 0:
            raise ValueError("no such total")


def well(host: Host) -> None:
    """Track valid and invalid events, use tokens, and emit a record that the Collector rejects."""
    report()
    with acting_as({"id": "root"}), trace.get_tracer("shop").start_as_current_span("orders"):
        for number in range(ORDERS):
            host.track(OrderEvent(number=number))
        host.track(OrderEvent(number="many"))  # type: ignore[arg-type]
        host.track(OrderEvent(number=ORDERS, total=-1))
    with acting_as(no_actor):
        host.track(OrderEvent(number=ORDERS))
    asyncio.run(use_tokens(host))
    get_logger("shop").emit(LogRecord(body="x" * TOO_LARGE_BYTES))
    # The outbox takes a refused record for a bad one when the Collector accepts another one after it.
    host.track(OrderEvent(number=ORDERS))
    host.flush()


def forum_traffic(host: Host) -> None:
    """Let everything happen that the demo has, in a span."""
    with acting_as({"id": "ada"}), trace.get_tracer("forum").start_as_current_span("traffic"):
        forum.ban(host)
        forum.sign_up(host)
        forum.vote(host)
        forum.import_posts(host, 3)
        asyncio.run(forum.use_token(host))


def no_actor() -> dict[str, object]:
    raise RuntimeError("nobody is logged in")


async def use_tokens(host: Host) -> None:
    """Issue, use, rotate and revoke a token, and present tokens that are rejected."""
    with trace.get_tracer("shop").start_as_current_span("tokens"):
        issued = await tokens.issue(host, "ada")
        await host.verify_token(issued.token)
        rotated = await tokens.rotate(host, issued.id, grace=0)
        await host.verify_token(rotated.token)
        await tokens.revoke(host, issued.id)
        for token in (rotated.token, *[f"hgtok_forged{number}" for number in range(REJECTED)], "another", "broken_"):
            with suppress(TokenInvalid, OSError):
                await host.verify_token(token)


def cut_off(host: Host) -> None:
    """Let an outbox grow until it is full. One record in it is old."""
    report()
    long_ago = time.time_ns() - STALE_SECONDS * 1_000_000_000
    get_logger("shop").emit(LogRecord(body="stale", observed_timestamp=long_ago))
    for number in range(WAITING):
        host.track(OrderEvent(number=number))
    report()


def report() -> None:
    """Send the metrics as they are now."""
    assert get_meter_provider().force_flush()  # type: ignore[attr-defined]  # the API has no such method


PROGRAMS: Mapping[str, Callable[[Host], None]] = {"well": well, "cut-off": cut_off, "forum": forum_traffic}


def main() -> None:
    with configure(plugins=[Troubled()], events=forum.EVENTS) as host:
        PROGRAMS[sys.argv[1]](host)
        print("done", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
