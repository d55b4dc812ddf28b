"""A small forum: its event classes, and what happens in it. The demo prints the source of each, so the lines are short."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from opentelemetry import trace

from heliograph import (
    Attribute,
    Event,
    Host,
    Privacy,
    Severity,
    TokenRevoked,
    acting_as,
    tokens,
)

start_span = trace.get_tracer("forum").start_as_current_span


@dataclass
class BanUser(
    Event,
    namespace="forum",
    severity=Severity.WARN,
    message="{actor[id]} banned {user[name]}",
):
    """A moderator banned a user."""

    name = "ban-user"
    user: dict[str, object]
    reason: str


def ban(host: Host) -> None:
    """Ban a user, in a request."""
    root = {"id": "root", "roles": ["staff"]}
    user = {"id": 2, "name": "cleverbot"}
    with acting_as(root), start_span("POST /ban"):
        host.track(BanUser(user=user, reason="spam"))


@dataclass
class SignUp(Event, namespace="forum"):
    """Somebody signed up."""

    name = "sign-up"
    username: str
    email: Annotated[
        str,
        Attribute(privacy=Privacy.MASK),
    ]


def sign_up(host: Host) -> None:
    """Sign up, as a script does."""
    email = "ada@example.com"
    host.track(SignUp(username="ada", email=email))


@dataclass
class CastVote(Event, namespace="forum"):
    """Somebody voted for a post."""

    name = "cast-vote"
    post_id: int
    points: Annotated[int, Meta(ge=-1, le=1)]


def vote(host: Host) -> None:
    """Vote once, and once too much."""
    host.track(CastVote(post_id=7, points=1))
    host.track(CastVote(post_id=7, points=100))


@dataclass
class DeletePost(Event, namespace="forum"):
    """A post was deleted."""

    name = "delete-post"
    post_id: int


async def use_token(host: Host) -> str:
    """Delete posts with a token; revoke it."""
    issued = await tokens.issue(host, "ada")
    for post_id in (7, 8):
        ada = await host.verify_token(issued.token)
        with acting_as(ada):
            host.track(DeletePost(post_id=post_id))
    with acting_as({"id": "root"}):
        await tokens.revoke(host, issued.id)
    with contextlib.suppress(TokenRevoked):
        await host.verify_token(issued.token)
    return issued.id


@dataclass
class ImportPost(Event, namespace="forum"):
    """A post was imported."""

    name = "import-post"
    post_id: int


def import_posts(host: Host, number: int) -> None:
    """Import posts while the server is down."""
    for post_id in range(number):
        host.track(ImportPost(post_id=post_id))


EVENTS = (BanUser, SignUp, CastVote, DeletePost, ImportPost)
"""The event classes of the forum."""
