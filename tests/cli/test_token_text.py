"""The text that commands print of a token and its secrets: for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heliograph import Host, Settings
from heliograph.cli.token_text import secret_to_dict, secret_to_line, to_dict, to_line
from heliograph.tokens import Secret, Token
from heliograph.tokens.stored.record import REPLACED_AT_ONCE

CREATED = 1_700_000_000.0
CREATED_TEXT = "2023-11-14T22:13:20+00:00"
TOKEN: dict[str, Any] = {"id": "aZ09bY18cX27", "actor_id": "alice", "created": CREATED}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with host_of(tmp_path) as host:
        yield host


def host_of(folder: Path, **settings: Any) -> Host:
    """Return a host that keeps tokens in a database."""
    tokens = {"token_handlers": ("database",), "token_database": folder / "tokens.db"}
    return Host(Settings(secret=("secret",), **tokens, **settings))


def test_line_of_a_token_that_has_nothing_else(host: Host) -> None:
    assert to_line(host, Token(**TOKEN)) == f"aZ09bY18cX27  active  created {CREATED_TEXT}  never used  alice"


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({"revoked": CREATED, "revoked_by": "bob"}, "revoked"),
        ({"expires": CREATED + 1}, "expired"),
        ({"unused_after": 300}, "expired"),
        ({"expires": 99_999_999_999.0}, "active"),
    ],
)
def test_state(host: Host, known: dict[str, Any], state: str) -> None:
    token = Token(**TOKEN, **known)
    assert to_line(host, token).split("  ")[1] == state
    assert to_dict(host, token)["state"] == state


def test_longest_lifetime_of_the_host(tmp_path: Path) -> None:
    """A token is as valid as the host takes it for."""
    with host_of(tmp_path, token_ttl=60) as host:
        assert to_line(host, Token(**TOKEN)).split("  ")[1] == "expired"


@pytest.mark.parametrize("text", ["a\nb", "\x1b[31mred", "a\u202eb", "\x00", "a\u2028b"])
@pytest.mark.parametrize("field", ["actor_id", "label"])
def test_texts_of_others_cannot_write_lines_or_colours(host: Host, field: str, text: str) -> None:
    line = to_line(host, Token(**{**TOKEN, field: text}))
    assert text not in line
    assert line.isprintable()


def test_everything_known_of_a_token_is_json(host: Host) -> None:
    """Times are text. A missing time is `null`, and 0 is a time."""
    token = Token(**TOKEN, label="ci", restrictions={"a": ["vi"]}, last_used=0.0, unused_after=300, revoked_by="bob")
    assert json.loads(json.dumps(to_dict(host, token))) == {
        "id": "aZ09bY18cX27",
        "state": "expired",
        "actor_id": "alice",
        "label": "ci",
        "restrictions": {"a": ["vi"]},
        "created": CREATED_TEXT,
        "last_used": "1970-01-01T00:00:00+00:00",
        "expires": None,
        "unused_after": 300,
        "revoked": None,
        "revoked_by": "bob",
    }
    assert "used 1970-01-01T00:00:00+00:00  alice  ci" in to_line(host, token)


@pytest.mark.parametrize(
    ("known", "first_used", "ends", "line"),
    [
        ({}, None, None, f"created {CREATED_TEXT}, first used never"),
        ({"first_used": CREATED}, CREATED_TEXT, None, f"created {CREATED_TEXT}, first used {CREATED_TEXT}"),
        ({"ends": CREATED}, None, CREATED_TEXT, f"created {CREATED_TEXT}, first used never, replaced {CREATED_TEXT}"),
        ({"ends": REPLACED_AT_ONCE}, None, "at once", f"created {CREATED_TEXT}, first used never, replaced at once"),
    ],
)
def test_secret(known: dict[str, float], first_used: str | None, ends: str | None, line: str) -> None:
    secret = Secret(token=Token(**TOKEN), created=CREATED, **known)
    assert secret_to_dict(secret) == {"created": CREATED_TEXT, "first_used": first_used, "ends": ends}
    assert secret_to_line(secret) == line
