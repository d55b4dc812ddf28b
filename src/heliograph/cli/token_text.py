"""Convert tokens to text for people, and to JSON objects for programs. Times are in UTC."""

from __future__ import annotations

from heliograph import tokens
from heliograph.host import Host
from heliograph.tokens import Secret, Token
from heliograph.tokens.stored.record import REPLACED_AT_ONCE, stored_facts
from heliograph.values.text import display, utc


def to_line(host: Host, token: Token) -> str:
    """Return the id, the state, the times of creation and last use, the actor and the label of a token."""
    used = "never used" if token.last_used is None else f"used {utc(token.last_used)}"
    created = f"created {utc(token.created)}"
    words = [token.id, tokens.state_of(host, token), created, used, token.actor_id, token.label or ""]
    return "  ".join(display(str(word)) for word in words).rstrip()


def to_dict(host: Host, token: Token) -> dict[str, object]:
    """Return everything that is stored about a token, and its state."""
    return {"id": token.id, "state": tokens.state_of(host, token), **stored_facts(token)}


def secret_to_dict(secret: Secret) -> dict[str, object]:
    """Return when a secret of a token was created, first used and replaced; never the secret, which is not stored."""
    was_replaced_at_once = secret.ends == REPLACED_AT_ONCE
    return {
        "created": utc(secret.created),
        "first_used": None if secret.first_used is None else utc(secret.first_used),
        "ends": "at once" if was_replaced_at_once else None if secret.ends is None else utc(secret.ends),
    }


def secret_to_line(secret: Secret) -> str:
    """Return the same as `secret_to_dict`, as a text for people."""
    known = secret_to_dict(secret)
    words = (f"created {known['created']}", f"first used {known['first_used'] or 'never'}")
    return ", ".join(words if known["ends"] is None else (*words, f"replaced {known['ends']}"))
