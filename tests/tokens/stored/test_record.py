"""A token is valid until it is revoked, its lifetime is over, or it was not used for too long."""

from __future__ import annotations

import pytest

from heliograph import TokenExpired, TokenRevoked
from heliograph.tokens.stored.record import Secret, Token, parse_restrictions, stored_facts

NOW = 1000.0


def token(**fields: object) -> Token:
    return Token(**{"id": "id", "actor_id": "alice", "created": 0.0, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "limit", "end"),
    [
        ({}, None, None),
        ({}, 0, None),
        ({"expires": NOW}, None, NOW),
        ({}, 1000, 1000.0),
        ({"expires": 2000.0}, 1500, 1500.0),
        ({"expires": 1200.0}, 1500, 1200.0),
        ({"unused_after": 1000}, None, None),
        ({"last_used": 700.0, "unused_after": 300}, None, None),
    ],
)
def test_valid_token_ends_at_the_earlier_of_two_limits(
    fields: dict[str, object], limit: float | None, end: float | None
) -> None:
    """A token is valid in its last second. A limit of 0 is none, as in Datasette."""
    assert token(**fields).check(NOW, longest_lifetime=limit) == end
    assert token(**fields).state(NOW, longest_lifetime=limit) == "active"


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"expires": 999.0}, None),
        ({}, 999),
        ({"unused_after": 999}, None),
        ({"last_used": 1.0, "unused_after": 998}, 0),
    ],
)
def test_token_expires(fields: dict[str, object], limit: float | None) -> None:
    """The exception has the time at which the token expired."""
    with pytest.raises(TokenExpired) as caught:
        token(**fields).check(NOW, longest_lifetime=limit)
    assert caught.value.expired_at == 999
    assert token(**fields).state(NOW, longest_lifetime=limit) == "expired"


def test_use_that_is_not_written_yet_counts() -> None:
    """Uses are written once a minute, and kept in memory until then."""
    assert token(unused_after=300).check(NOW, last_seen=700.0) is None
    with pytest.raises(TokenExpired):
        token(unused_after=300).check(NOW, last_seen=699.0)


def test_revoked_token_is_not_called_expired() -> None:
    """A token may be both, and the revocation is what matters."""
    assert token(revoked=1.0, expires=2.0).state(NOW) == "revoked"


@pytest.mark.parametrize(
    ("ends", "expires", "end"), [(1001.0, None, 1001.0), (1001.0, 2000.0, 1001.0), (3000.0, 2000.0, 2000.0)]
)
def test_secret_ends_when_it_is_replaced(ends: float, expires: float | None, end: float) -> None:
    """A secret may end earlier, with its token. At the moment of its end it is not valid any more."""
    secret = Secret(token=token(expires=expires), created=0.0, ends=ends)

    assert secret.check(NOW) == end
    with pytest.raises((TokenRevoked, TokenExpired)):
        secret.check(max(ends, NOW))
    with pytest.raises(TokenRevoked, match="Token has been replaced"):
        Secret(token=token(), created=0.0, ends=NOW).check(NOW)


def test_actor_has_only_keys_with_a_value() -> None:
    """Datasette fails on `_r: None`."""
    assert token().actor(None) == {"id": "alice", "token": "hgtok", "token_id": "id"}
    assert token(restrictions={"a": ["vi"]}).actor(7.9) == {
        "id": "alice",
        "token": "hgtok",
        "token_id": "id",
        "_r": {"a": ["vi"]},
        "token_expires": 7,
    }


def test_restrictions_are_parsed() -> None:
    """A token without a text of restrictions has none."""
    assert parse_restrictions(None) is None
    assert parse_restrictions('{"a": ["vi"]}') == {"a": ["vi"]}


def test_stored_facts_have_times_as_text() -> None:
    """The command line and the page of Datasette show the same."""
    facts = stored_facts(Token(id="t1", actor_id="ada", created=0.0, unused_after=60))

    assert facts == {
        "id": "t1",
        "actor_id": "ada",
        "label": None,
        "restrictions": None,
        "created": "1970-01-01T00:00:00+00:00",
        "last_used": None,
        "expires": None,
        "unused_after": 60,
        "revoked": None,
        "revoked_by": None,
    }
