"""Signed tokens: interchangeable with Datasette's, refused when they were touched, gone when they are old."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import itsdangerous
import pytest
from datasette.app import Datasette
from datasette.tokens import TokenInvalid as TheirInvalid
from datasette.tokens import TokenRestrictions as TheirRestrictions
from hypothesis import assume, given
from hypothesis import strategies as st
from recorder import SECRET, Telemetry

from heliograph import (
    Settings,
    SignedTokenHandler,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenRestrictions,
    TokensDisabled,
    TokenSignatureInvalid,
)
from heliograph.tokens.actions import CORE_ACTIONS
from heliograph.tokens.handler import TokenHost

NOON = 1_700_000_000


class FakeHost:
    """What a token handler needs of a host, with secrets and settings to choose."""

    def __init__(self, *secrets: str, **settings: object) -> None:
        self.actions = CORE_ACTIONS
        self.secrets = list(secrets or (SECRET,))
        self.settings = {"allow_signed_tokens": True, "max_signed_tokens_ttl": 0, **settings}

    def setting(self, key: str) -> object:
        return self.settings.get(key)

    def sign(self, value: object, namespace: str = "default") -> str:
        return str(itsdangerous.URLSafeSerializer(self.secrets[::-1], namespace).dumps(value))

    def unsign(self, signed: str, namespace: str = "default") -> object:
        value: object = itsdangerous.URLSafeSerializer(self.secrets[::-1], namespace).loads(signed)
        return value


class Clock:
    """A time that is set by hand."""

    def __init__(self) -> None:
        self.now: float = NOON

    def __call__(self) -> float:
        return self.now


def create(host: TokenHost, actor_id: Any = "root", clock: Clock | None = None, **said: Any) -> str:
    return asyncio.run(SignedTokenHandler(clock or Clock()).create_token(host, actor_id, **said))


def verify(host: TokenHost, token: str, clock: Clock | None = None) -> Mapping[str, object] | None:
    return asyncio.run(SignedTokenHandler(clock or Clock()).verify_token(host, token))


@contextmanager
def datasette(secret: str = SECRET, **settings: object) -> Iterator[Datasette]:
    instance = Datasette(memory=True, secret=secret, settings=settings)
    asyncio.run(instance.invoke_startup())
    yield instance
    instance.close()


# The token


def test_token_says_what_it_says() -> None:
    """The prefix, and a payload that everybody can read."""
    token = create(FakeHost(), "root", expires_after=60, restrictions=TokenRestrictions().allow_all("view-instance"))

    assert token.startswith("dstok_")
    payload = token.removeprefix("dstok_").split(".")[0]
    assert json.loads(base64.urlsafe_b64decode(payload + "==")) == {"a": "root", "t": NOON, "d": 60, "_r": {"a": ["vi"]}}


def test_round_trip() -> None:
    """The actor has the id and how it came, and no more."""
    host = FakeHost()

    assert verify(host, create(host)) == {"id": "root", "token": "dstok"}


def test_restrictions_and_expiry_are_on_the_actor() -> None:
    """As `_r`, which Datasette reads, and `token_expires`."""
    host = FakeHost()
    token = create(host, expires_after=60, restrictions=TokenRestrictions().allow_database("db", "create-table"))

    assert verify(host, token) == {"id": "root", "token": "dstok", "_r": {"d": {"db": ["ct"]}}, "token_expires": NOON + 60}


def test_empty_restrictions_restrict_nothing() -> None:
    """As in Datasette."""
    host = FakeHost()

    assert "_r" not in (verify(host, create(host, restrictions=TokenRestrictions())) or {})


def test_token_of_somebody_else_is_not_recognised() -> None:
    """Another handler may know it."""
    assert verify(FakeHost(), "dbtok_abc") is None
    assert verify(FakeHost(), "") is None


# Time


def test_token_ends_after_its_life() -> None:
    """To the second; the error has the time, and is no secret."""
    host, clock = FakeHost(), Clock()
    token = create(host, clock=clock, expires_after=60)

    clock.now = NOON + 60
    assert verify(host, token, clock) is not None
    clock.now = NOON + 60.5
    with pytest.raises(TokenExpired, match="^Token has expired$") as caught:
        verify(host, token, clock)
    assert caught.value.expired_at == NOON + 60


@pytest.mark.parametrize(("said", "life"), [(None, 100), (50, 50), (500, 100)])
def test_hosts_longest_life_bounds_every_token(said: int | None, life: int) -> None:
    """Also of tokens that were made without an end."""
    clock = Clock()
    token = create(FakeHost(), clock=clock, expires_after=said)
    host = FakeHost(max_signed_tokens_ttl=100)

    assert (verify(host, token, clock) or {})["token_expires"] == NOON + life
    clock.now = NOON + life + 1
    with pytest.raises(TokenExpired):
        verify(host, token, clock)


@pytest.mark.parametrize("life", [0, -1, 1.5, "60", True])
def test_life_that_is_none_is_refused(life: Any) -> None:
    """A token that never ends is asked for by None."""
    with pytest.raises(ValueError, match="whole number of seconds above 0"):
        create(FakeHost(), expires_after=life)


# Refusals


def test_signed_tokens_switched_off() -> None:
    """Neither made nor accepted; both errors Datasette's callers can catch."""
    off = FakeHost(allow_signed_tokens=False)

    with pytest.raises(TokensDisabled):
        create(off)
    with pytest.raises(TokensDisabled) as caught:
        verify(off, create(FakeHost()))
    assert isinstance(caught.value, (TokenInvalid, ValueError))
    assert verify(off, "somebody else's") is None


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("text", "malformed payload"),
        ([1], "malformed payload"),
        (None, "malformed payload"),
        ({"t": NOON}, "no actor"),
        ({"a": "root"}, "no timestamp"),
        ({"a": "root", "t": "now"}, "invalid timestamp"),
        ({"a": "root", "t": True}, "invalid timestamp"),
        ({"a": "root", "t": 1.5}, "invalid timestamp"),
        ({"a": "root", "t": NOON, "d": "60"}, "invalid duration"),
        ({"a": "root", "t": NOON, "d": False}, "invalid duration"),
    ],
)
def test_payload_that_this_handler_does_not_write(payload: object, message: str) -> None:
    """Signed with the right secret and still not a token: the reason is told, the payload is not."""
    host = FakeHost()

    with pytest.raises(TokenMalformed, match=message):
        verify(host, "dstok_" + host.sign(payload, namespace="token"))


def test_signature_of_another_namespace_is_no_token() -> None:
    """What the program signs for something else opens no door."""
    host = FakeHost()

    with pytest.raises(TokenSignatureInvalid):
        verify(host, "dstok_" + host.sign({"a": "root", "t": NOON}, namespace="actor"))


def test_refusal_carries_no_token() -> None:
    """Neither in its text nor in what caused it."""
    token = create(FakeHost("another"), "canary")
    with pytest.raises(TokenSignatureInvalid) as caught:
        verify(FakeHost(), token)

    error: BaseException | None = caught.value
    while error is not None:
        assert token.split("_")[1].split(".")[0] not in f"{error!r} {vars(error)}"
        assert error.__suppress_context__ or error.__context__ is None
        error = error.__cause__


@pytest.mark.parametrize("token", ["dstok_", "dstok_.", "dstok_\udc80", "dstok_\0", "dstok_é.é", "dstok_" + "a." * 9999, "dstok_.a.b"])
def test_text_that_is_no_token(token: str) -> None:
    """Whatever stands after the prefix, it is a refusal and no other error."""
    with pytest.raises(TokenSignatureInvalid):
        verify(FakeHost(), token)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5)


@given(actor_id=JSON, life=st.none() | st.integers(1, 10**9), actions=st.lists(st.text(), max_size=3))
def test_round_trip_of_anything(actor_id: Any, life: int | None, actions: list[str]) -> None:
    """What was said comes back, whatever it is that JSON can say."""
    host = FakeHost()

    actor = verify(host, create(host, actor_id, expires_after=life, restrictions=TokenRestrictions(all=actions)))

    expected: dict[str, object] = {"id": actor_id, "token": "dstok"}
    if life is not None:
        expected["token_expires"] = NOON + life
    if actions:
        expected["_r"] = TokenRestrictions(all=actions).abbreviated(host)
    assert actor == expected


@given(data=st.data())
def test_any_tampering_is_refused(data: st.DataObject) -> None:
    """One character replaced, taken away or put in: never an actor, and never another error than the refusal."""
    host = FakeHost()
    token = create(host, "root", expires_after=60)
    place = data.draw(st.integers(len("dstok_"), len(token) - 1))
    char = data.draw(st.characters(categories=None) | st.sampled_from("ABCabc012-_."))
    forged = data.draw(st.sampled_from([token[:place] + char + token[place + 1 :], token[:place] + token[place + 1 :], token[:place] + char + token[place:], token + char]))
    assume(forged != token)

    try:
        actor = verify(host, forged)
    except TokenSignatureInvalid:
        return
    # base64 without padding leaves unused bits in a signature's last character: the same bytes, the same token
    assert forged[:-1] == token[:-1]
    assert actor == verify(host, token)


# Both hosts


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("life", [None, 3600])
def test_datasette_accepts_a_hosts_token(telemetry: Telemetry, restricted: bool, life: int | None) -> None:
    """The same secret, the same actor: restrictions and expiry included."""
    restrictions = TokenRestrictions().allow_all("view-instance").allow_resource("db", "t", "insert-row") if restricted else None
    with telemetry.host() as host, datasette() as theirs:
        token = host.call(host.create_token, "root", expires_after=life, restrictions=restrictions)

        actor = asyncio.run(theirs.verify_token(token))

        assert actor == host.call(host.verify_token, token)
    assert actor["id"] == "root"
    assert ("_r" in actor, "token_expires" in actor) == (restricted, life is not None)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("life", [None, 3600])
def test_host_accepts_datasettes_token(telemetry: Telemetry, restricted: bool, life: int | None) -> None:
    """And the other way round; Datasette's own restrictions are taken by a host too."""
    restrictions: Any = TheirRestrictions().allow_database("db", "create-table") if restricted else None
    with telemetry.host() as host, datasette() as theirs:
        token = asyncio.run(theirs.create_token("root", expires_after=life, restrictions=restrictions))

        assert host.call(host.verify_token, token) == asyncio.run(theirs.verify_token(token))
        ours = host.call(host.create_token, "root", expires_after=life, restrictions=restrictions)
        assert (host.call(host.verify_token, ours) or {}).get("_r") == (restrictions and {"d": {"db": ["ct"]}})


def test_restrictions_hold_in_datasette(telemetry: Telemetry) -> None:
    """A token that a host restricted may there do what it may, and no more."""

    async def allowed(theirs: Datasette, actor: Any) -> list[bool]:
        return [await theirs.allowed(action=action, actor=actor) for action in ("view-instance", "permissions-debug")]

    with telemetry.host() as host, datasette() as theirs:
        theirs.root_enabled = True
        free = host.call(host.create_token, "root")
        bound = host.call(host.create_token, "root", restrictions=TokenRestrictions().allow_all("view-instance"))

        assert asyncio.run(allowed(theirs, asyncio.run(theirs.verify_token(free)))) == [True, True]
        assert asyncio.run(allowed(theirs, asyncio.run(theirs.verify_token(bound)))) == [True, False]


def test_expired_and_forged_tokens_are_refused_by_both(telemetry: Telemetry) -> None:
    """Each by its own exception."""
    old = create(FakeHost(), expires_after=60)  # long ago
    forged = create(FakeHost("another secret"))
    with telemetry.host() as host, datasette() as theirs:
        for token, error in ((old, TokenExpired), (forged, TokenSignatureInvalid)):
            with pytest.raises(error) as ours:
                host.call(host.verify_token, token)
            with pytest.raises(TheirInvalid) as their:
                asyncio.run(theirs.verify_token(token))
            assert ours.value.message == their.value.message


def test_longest_life_is_the_same_in_both(telemetry: Telemetry) -> None:
    """The setting by either name."""
    with telemetry.host(settings=Settings(secret=(SECRET,), token_ttl=60)) as host, datasette(max_signed_tokens_ttl=60) as theirs:
        token = host.call(host.create_token, "root", expires_after=3600)

        assert host.call(host.verify_token, token) == asyncio.run(theirs.verify_token(token))


def test_rotated_secret(telemetry: Telemetry) -> None:
    """The newest signs, the older are still good, and one that is gone is not."""
    with telemetry.host(settings=Settings(secret=("new", "old"))) as host, datasette("new") as new, datasette("old") as old:
        token = host.call(host.create_token, "root")

        assert asyncio.run(new.verify_token(token))
        with pytest.raises(TheirInvalid):
            asyncio.run(old.verify_token(token))
        assert host.call(host.verify_token, asyncio.run(old.create_token("root")))
        with pytest.raises(TokenSignatureInvalid):
            host.call(host.verify_token, create(FakeHost("older")))


def test_handler_works_in_datasette_as_it_is() -> None:
    """What it asks of its host, Datasette has."""
    with datasette() as theirs:
        token = create(theirs)

        assert verify(theirs, token) == asyncio.run(theirs.verify_token(token)) == {"id": "root", "token": "dstok"}
