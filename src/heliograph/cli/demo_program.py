"""The program that `heliograph demo` runs: a small forum that exports its telemetry as the environment configures.

The last line on stdout is a JSON object with the number of events, span events and token spans that it sent, and with
``flushed``: true if the exporters delivered everything.
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

SECRET = "the demo's secret, which signs nothing of value"  # noqa: S105


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
    """The forum's plugin: its event classes, and a hook that writes an audit trail."""

    @hookimpl
    def register_events(self) -> list[type]:
        """Return the event classes."""
        return [SignUpEvent, BanUserEvent, ImportEvent]

    @hookimpl
    def startup(self, datasette: Host) -> Callable[[], Awaitable[object]]:
        """Create the table of the audit trail."""
        return lambda: datasette.get_internal_database().execute_write("create table audit (event text, actor text)")

    @hookimpl
    def track_event(self, datasette: Host, event: Event) -> Callable[[], Awaitable[object]]:
        """Add the event to the audit trail."""
        return lambda: datasette.get_internal_database().execute_write(
            "insert into audit values (?, ?)", [event.name, json.dumps(event.actor)]
        )


def main() -> int:
    """Run the forum once, and print what was sent."""
    with configure(Settings.from_env({"HELIOGRAPH_SECRET": SECRET}), plugins=[Forum()]) as host:
        sent = {"events": 0, "span_events": 0, "token_spans": 0}
        track_outside_spans(host, sent)
        track_inside_spans(host, sent)
        asyncio.run(use_tokens(host, sent))
        sent["flushed"] = host.flush()
    print(json.dumps(sent))
    return 0


def track_outside_spans(host: Host, sent: dict[str, int]) -> None:
    """Track two events as a script would. They become log records only."""
    host.track(SignUpEvent(username="ada"))
    host.track(SignUpEvent(username="cleverbot", referrer="https://example.com/invite"))
    sent["events"] += 2


def track_inside_spans(host: Host, sent: dict[str, int]) -> None:
    """Track two events as requests would. They become log records, and span events of the current span."""
    tracer = trace.get_tracer("forum")
    moderator = {"id": "root", "name": "Grace", "roles": ["admin", "staff"]}
    with acting_as(moderator), tracer.start_as_current_span("POST /ban"):
        host.track(BanUserEvent(user={"id": 2, "username": "cleverbot"}, reason="spam"))
    with acting_as(moderator), tracer.start_as_current_span("POST /import"):
        host.track(ImportEvent(posts=1815, tags=["history", "math"], seconds=0.42))
    sent["events"] += 2
    sent["span_events"] += 2


async def use_tokens(host: Host, sent: dict[str, int]) -> None:
    """Create tokens, and verify one that is valid, one expired, one forged, and one of another system."""
    with trace.get_tracer("forum").start_as_current_span("tokens"):
        valid = await host.create_token(
            "ada", expires_after=3600, restrictions=TokenRestrictions().allow_all("view-instance")
        )
        long_ago = SignedTokenHandler(clock=lambda: 1_000_000_000)
        expired = await long_ago.create_token(host, "ada", expires_after=60)
        forged = valid[: -len("signature")] + "signature"
        for token in (valid, expired, forged, "token-of-another-system"):
            try:
                await host.verify_token(token)
            except TokenInvalid:
                continue
        host.flush()  # while the span lasts: the events of the rejections, which are tracked later, are span events then
    sent["events"] += 1 + 2  # the created token, and the rejected ones
    sent["span_events"] += 1 + 2
    sent["token_spans"] += 1 + 4  # the expired token is created with its handler directly, outside of the host


if __name__ == "__main__":
    sys.exit(main())
