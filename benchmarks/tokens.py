"""Compare the time of token verifications with that of the simplest alternative, in turn and in one process.

- A token of a database that is in the cache, with a signed token; both handlers are called directly (goal: at most 2).
- A token of a database that is not in the cache, with a token of datasette-auth-tokens. Both read through the same Datasette, whose internal
  database is a file (goal: at most 0.4).
- `Host.verify_token` of a signed token, with a call of the handler: while nothing records (goal: at most 1.6), and while spans and
  metrics are recorded by the SDK (goal: at most 3).
- The longest verification from the cache in threads of their own, while a handler blocks another thread, compared with the longest one
  without it (goal: a delay of less than 10 ms).

Both are called in turn, call by call, as in a program that does something else between two verifications; in a loop of one call alone, a
processor has all of its code at hand, which no program ever sees. Each figure is a median. It prints the ratios, and exits with 1 if one is above
its goal.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from heliograph import Host, Settings, SignedTokenHandler, TokenHandler, hookimpl
from heliograph.tokens.stored.operations import handler_of

Verify = Callable[[], Awaitable[object]]

CALLS = 20_000
SLOW_CALLS = 1_000
BLOCKED_SECONDS = 0.5
THREADS = 3
MAX_DELAY_SECONDS = 0.01

results: list[bool] = []


async def compare(name: str, goal: float, base: Verify, candidate: Verify, *, calls: int = CALLS) -> None:
    """Print the ratio of the medians of many calls, in turn."""
    for verify in (base, candidate):
        assert await verify() is not None
    pairs = [(await seconds(base), await seconds(candidate)) for _ in range(calls)]
    first, second = (statistics.median(side) * 1e6 for side in zip(*pairs))
    report(name, f"{first:7.1f} µs → {second:7.1f} µs", second / first, goal)


async def seconds(verify: Verify) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    await verify()
    return time.perf_counter() - start


def report(name: str, figures: str, result: float, goal: float) -> None:
    """Print one line, and remember if the goal is met."""
    results.append(result <= goal)
    print(f"{name:58} {figures}   {result:6.2f}  (goal: at most {goal}) {'' if result <= goal else 'MISSED'}")


async def cache_and_signed(folder: Path) -> None:
    """Compare a token in the cache with a signed one."""
    settings = Settings(
        secret=("a secret",),
        token_handlers=("signed", "database"),
        token_database=folder / "cache.db",
        token_cache_seconds=60,
    )
    with Host(settings) as host:
        stored, signed = handler_of(host), SignedTokenHandler()
        token, other = await stored.create_token(host, "root"), await signed.create_token(host, "root")
        await compare(
            "signed → database, from the cache",
            2.0,
            lambda: signed.verify_token(host, other),
            lambda: stored.verify_token(host, token),
        )


async def database_and_auth_tokens(folder: Path) -> None:
    """Compare a token that is looked up with one of datasette-auth-tokens."""
    # Imported here, and without other plugins: those may set providers for the whole process, so that something records.
    os.environ["DATASETTE_LOAD_PLUGINS"] = "datasette-auth-tokens,heliograph"
    from datasette.app import Datasette
    from datasette_auth_tokens import ManagedTokenHandler

    datasette = Datasette(
        internal=str(folder / "internal.db"),
        config={
            "plugins": {
                "datasette-auth-tokens": {"manage_tokens": True},
                "heliograph": {"token_handlers": "signed,database", "token_cache_seconds": 0},
            }
        },
    )
    await datasette.invoke_startup()
    theirs, ours = ManagedTokenHandler(), handler_of(datasette)
    token, other = await ours.create_token(datasette, "root"), await theirs.create_token(datasette, "root")
    await compare(
        "datasette-auth-tokens → database, not from the cache",
        0.4,
        lambda: theirs.verify_token(datasette, other),
        lambda: ours.verify_token(datasette, token),
        calls=SLOW_CALLS,
    )
    datasette.close()


async def host_and_handler() -> None:
    """Compare `Host.verify_token` with the handler, without and with providers that record."""
    handler = SignedTokenHandler()
    recording = {
        "tracer_provider": TracerProvider(),
        "meter_provider": MeterProvider(metric_readers=[InMemoryMetricReader()]),
    }
    for name, goal, providers in (("nothing recording", 1.6, {}), ("recording", 3.0, recording)):
        with Host(Settings(secret=("a secret",)), **providers) as host:  # type: ignore[arg-type]
            token = await host.create_token("root", expires_after=3600)
            await compare(
                f"handler → Host.verify_token, {name}",
                goal,
                lambda host=host, token=token: handler.verify_token(host, token),  # type: ignore[misc]
                lambda host=host, token=token: host.verify_token(token),  # type: ignore[misc]
            )


class Blocking(TokenHandler):
    """Blocks its thread while it verifies a token."""

    name = "blocking"

    @hookimpl
    def register_token_handler(self) -> TokenHandler:
        """Return this handler."""
        return self

    async def verify_token(self, datasette: object, token: str) -> None:
        """Block if the token is for this handler."""
        if token == "blocks":  # noqa: S105 — no secret
            time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251 — it is to block


def delay_by_a_blocking_handler(folder: Path) -> None:
    """Compare the longest verification from the cache in other threads, with and without a handler that blocks."""
    settings = Settings(token_handlers=("database",), token_database=folder / "blocked.db", token_cache_seconds=60)
    with Host(settings, plugins=[Blocking()]) as host:
        token = host.call(host.create_token, "root", handler="database")
        host.call(host.verify_token, token)
        pairs = [(longest(host, token, "other"), longest(host, token, "blocks")) for _ in range(5)]
    alone, blocked = (statistics.median(side) for side in zip(*pairs))
    delay = statistics.median(b - a for a, b in pairs)
    report(
        "longest verification from the cache → while one blocks, ms",
        f"{alone * 1e3:7.2f} ms → {blocked * 1e3:7.2f} ms",
        delay * 1e3,
        MAX_DELAY_SECONDS * 1e3,
    )


def longest(host: Host, token: str, other: str) -> float:
    """Return the seconds of the longest verification in several threads, while another thread verifies `other`."""
    end = time.monotonic() + BLOCKED_SECONDS
    found: list[float] = []

    def verify_from_cache() -> None:
        while time.monotonic() < end:
            start = time.perf_counter()
            asyncio.run(host.verify_token(token))
            found.append(time.perf_counter() - start)
            time.sleep(0.005)

    threads = [threading.Thread(target=verify_from_cache) for _ in range(THREADS)]
    threads.append(threading.Thread(target=lambda: host.call(host.verify_token, other)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(found)


async def comparisons(folder: Path) -> None:
    """Run the comparisons that need a loop."""
    await cache_and_signed(folder)
    await host_and_handler()
    await database_and_auth_tokens(folder)


def main() -> int:
    """Print all figures. Return the exit status: 1 if a goal is missed."""
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(comparisons(Path(name)))
        delay_by_a_blocking_handler(Path(name))
    return int(not all(results))


if __name__ == "__main__":
    sys.exit(main())
