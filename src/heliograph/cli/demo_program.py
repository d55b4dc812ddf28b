"""The program that `heliograph demo` runs: a small forum, whose telemetry goes where the environment says.

Its last line on stdout says, as JSON, what it sent.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from opentelemetry import trace

from heliograph import (
    Event,
    Host,
    Settings,
    Severity,
    SignedTokenHandler,
    TokenInvalid,
    TokenRestrictions,
    acting_as,
    configure,
    hookimpl,
)

SECRET = "the demo's secret, which signs nothing of worth"  # noqa: S105


@dataclass
class SignUpEvent(Event, namespace="forum"):
    """A user signed up."""

    name = "sign-up"
    username: str
    referrer: str | None = None


@dataclass
class BanUserEvent(
    Event, namespace="forum", severity=Severity.WARN, message="{actor[id]} banned {user[username]}: {reason}"
):
    """A moderator banned a user."""

    name = "ban-user"
    user: dict[str, object]
    reason: str


@dataclass
class ImportEvent(Event, namespace="forum"):
    """Posts were imported."""

    name = "import-posts"
    posts: int
    tags: list[str]
    seconds: float


class Forum:
    """The forum's plugin: its events, and a hook of its own that keeps an audit trail."""

    @hookimpl
    def register_events(self) -> list[type]:
        """The event classes."""
        return [SignUpEvent, BanUserEvent, ImportEvent]

    @hookimpl
    def startup(self, datasette: Host) -> Callable[[], Awaitable[object]]:
        """Make the audit trail's table."""
        return lambda: datasette.get_internal_database().execute_write("create table audit (event text, actor text)")

    @hookimpl
    def track_event(self, datasette: Host, event: Event) -> Callable[[], Awaitable[object]]:
        """Write the event into the audit trail."""
        return lambda: datasette.get_internal_database().execute_write(
            "insert into audit values (?, ?)", [event.name, json.dumps(event.actor)]
        )


def main() -> int:
    """Run the forum for a moment."""
    with configure(Settings.from_env({"HELIOGRAPH_SECRET": SECRET}), plugins=[Forum()]) as host:
        sent = {"events": 0, "span_events": 0, "token_spans": 0}
        outside_spans(host, sent)
        inside_spans(host, sent)
        asyncio.run(tokens(host, sent))
        sent["flushed"] = host.flush()
    print(json.dumps(sent))
    return 0


def outside_spans(host: Host, sent: dict[str, int]) -> None:
    """Two events of a script: log records alone."""
    host.track(SignUpEvent(username="ada"))
    host.track(SignUpEvent(username="cleverbot", referrer="https://example.com/invite"))
    sent["events"] += 2


def inside_spans(host: Host, sent: dict[str, int]) -> None:
    """Two events of a request: log records, and span events on its span."""
    tracer = trace.get_tracer("forum")
    moderator = {"id": "root", "name": "Grace", "roles": ["admin", "staff"]}
    with acting_as(moderator), tracer.start_as_current_span("POST /ban"):
        host.track(BanUserEvent(user={"id": 2, "username": "cleverbot"}, reason="spam"))
    with acting_as(moderator), tracer.start_as_current_span("POST /import"):
        host.track(ImportEvent(posts=1815, tags=["history", "math"], seconds=0.42))
    sent["events"] += 2
    sent["span_events"] += 2


async def tokens(host: Host, sent: dict[str, int]) -> None:
    """A good token, an expired one, a forged one, and one of somebody else."""
    with trace.get_tracer("forum").start_as_current_span("tokens"):
        good = await host.create_token(
            "ada", expires_after=3600, restrictions=TokenRestrictions().allow_all("view-instance")
        )
        long_ago = SignedTokenHandler(clock=lambda: 1_000_000_000)
        expired = await long_ago.create_token(host, "ada", expires_after=60)
        forged = good[: -len("signature")] + "signature"
        for token in (good, expired, forged, "somebody-else's"):
            try:
                await host.verify_token(token)
            except TokenInvalid:
                continue
    sent["token_spans"] += 5


if __name__ == "__main__":
    sys.exit(main())
