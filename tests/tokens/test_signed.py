"""Signed tokens are interchangeable with Datasette's, and nothing but a good one is accepted."""

from __future__ import annotations

import asyncio
import base64
import string
import time

import datasette.tokens
import hypothesis
import pytest
from datasette.app import Datasette
from hypothesis import strategies as st

from heliograph import (
    Host,
    Settings,
    SignedTokenHandler,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenRestrictions,
    TokensDisabled,
    TokenSignatureInvalid,
)
from heliograph.tokens.signed import NAMESPACE, PREFIX
from recorder import SECRET

HOST = Host(Settings(secret=(SECRET,)))
HANDLER = SignedTokenHandler()
TOKEN_CHARACTERS = string.ascii_letters + string.digits + "-_."

restrictions_of_both = pytest.mark.parametrize(
    "restrictions_class", [TokenRestrictions, datasette.tokens.TokenRestrictions]
)


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now=1_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def host(**settings: object) -> Host:
    return Host(Settings(**{"secret": (SECRET,), **settings}))


def create(host: Host = HOST, handler: SignedTokenHandler = HANDLER, actor_id: str = "root", **kwargs: object) -> str:
    return asyncio.run(handler.create_token(host, actor_id, **kwargs))


def verify(token: str, host: Host = HOST, handler: SignedTokenHandler = HANDLER) -> object:
    return asyncio.run(handler.verify_token(host, token))


def signed(payload: object, host: Host = HOST) -> str:
    """A token with that payload, well signed."""
    return PREFIX + host.sign(payload, namespace=NAMESPACE)


# Datasette


@pytest.fixture
def real():
    """A Datasette with the secret of the tests."""
    instance = Datasette(memory=True, secret=SECRET)
    asyncio.run(instance.invoke_startup())
    yield instance
    instance.close()


@restrictions_of_both
def test_a_token_of_ours_is_good_in_datasette(real: Datasette, restrictions_class: type) -> None:
    """The actor is the same, restrictions and end of life included."""
    restrictions = _some(restrictions_class())

    token = create(expires_after=60, restrictions=restrictions)

    actor = asyncio.run(real.verify_token(token))
    assert actor == verify(token)
    assert actor["id"] == "root"
    assert actor["token"] == "dstok"
    assert actor["_r"] == {"a": ["vi", "unknown-action"], "d": {"one": ["ct"]}, "r": {"one": {"pages": ["ir", "ur"]}}}
    assert 0 <= actor["token_expires"] - time.time() <= 60


@restrictions_of_both
def test_a_token_of_datasettes_is_good_here(real: Datasette, restrictions_class: type) -> None:
    """A host reads it as Datasette itself does."""
    token = asyncio.run(real.create_token("root", expires_after=60, restrictions=_some(restrictions_class())))

    actor = verify(token)

    assert actor == asyncio.run(real.verify_token(token))
    assert actor["_r"]["d"] == {"one": ["ct"]}


def test_both_write_the_same_payload(real: Datasette) -> None:
    """At the same second, of the same input, the token is the same text."""
    for restrictions in (None, _some(TokenRestrictions()), TokenRestrictions()):
        theirs = asyncio.run(real.create_token("root", expires_after=60, restrictions=restrictions))
        payload = HOST.unsign(theirs.removeprefix(PREFIX), namespace=NAMESPACE)

        assert (
            create(handler=SignedTokenHandler(Clock(payload["t"])), expires_after=60, restrictions=restrictions)
            == theirs
        )


def test_an_expired_token_is_refused_by_both(real: Datasette) -> None:
    """Its end is past for both in the same words."""
    token = create(handler=SignedTokenHandler(Clock(1000)), expires_after=1)

    with pytest.raises(TokenExpired, match=r"^Token has expired$") as caught:
        verify(token)
    with pytest.raises(datasette.tokens.TokenInvalid, match=r"^Token has expired$"):
        asyncio.run(real.verify_token(token))
    assert caught.value.expired_at == 1001


@pytest.mark.parametrize("life", [None, 10, 10_000])
@pytest.mark.parametrize("age", [0, 5, 11, 101])
def test_the_longest_life_is_that_of_datasette(life: int | None, age: int) -> None:
    """`token_ttl` means what `max_signed_tokens_ttl` means, for a token with or without a life of its own."""
    real = Datasette(memory=True, secret=SECRET, settings={"max_signed_tokens_ttl": 100})
    token = create(handler=SignedTokenHandler(Clock(time.time() - age)), expires_after=life)

    def answer(ask):
        try:
            return ask()
        except (TokenInvalid, datasette.tokens.TokenInvalid) as error:
            return str(error)

    ours = answer(lambda: verify(token, host(token_ttl=100)))
    theirs = answer(lambda: asyncio.run(datasette.tokens.SignedTokenHandler().verify_token(real, token)))
    real.close()
    assert ours == theirs
    assert (ours == "Token has expired") is (age > min(life or 100, 100))


def test_a_token_of_another_secret_is_refused_by_both(real: Datasette) -> None:
    """Neither accepts what it cannot have signed."""
    token = create(host(secret=("another",)))

    with pytest.raises(TokenSignatureInvalid, match=r"^Invalid token signature$"):
        verify(token)
    with pytest.raises(datasette.tokens.TokenInvalid, match=r"^Invalid token signature$"):
        asyncio.run(real.verify_token(token))


# Life


def test_a_token_ends_after_its_life_and_not_before() -> None:
    """The last second is part of it."""
    clock = Clock()
    handler = SignedTokenHandler(clock)
    token = create(handler=handler, expires_after=60)

    clock.now += 60
    assert verify(token, handler=handler)["token_expires"] == 1_000_060
    clock.now += 0.001
    with pytest.raises(TokenExpired):
        verify(token, handler=handler)


def test_a_token_without_a_life_never_ends() -> None:
    """It has no `token_expires` either."""
    clock = Clock()
    handler = SignedTokenHandler(clock)
    token = create(handler=handler)

    clock.now += 100 * 365 * 86400

    assert verify(token, handler=handler) == {"id": "root", "token": "dstok"}


@pytest.mark.parametrize("life", [0, -1, True, False, 1.5, "60"], ids=repr)
def test_a_life_that_is_none_is_refused_at_once(life: object) -> None:
    """Datasette makes a token that never ends of 0; here that takes `None`."""
    with pytest.raises(ValueError, match=r"^expires_after must be a whole number of seconds above 0, or None"):
        create(expires_after=life)


def test_old_tokens_stay_good_after_a_rotation() -> None:
    """The newest secret signs; a token of a secret that was dropped is forged."""
    old, rotated, new = host(secret=("old",)), host(secret=("new", "old")), host(secret=("new",))

    before, after = create(old), create(rotated)

    assert verify(before, rotated) == verify(after, rotated) == verify(after, new)
    for token, other in ((before, new), (after, old)):
        with pytest.raises(TokenSignatureInvalid):
            verify(token, other)


def test_tokens_that_are_off_are_neither_made_nor_accepted() -> None:
    """A good token is refused as well; a token of another kind is none of its business."""
    token, off = create(), host(allow_signed_tokens=False)

    with pytest.raises(TokensDisabled):
        create(off)
    with pytest.raises(TokensDisabled, match=r"^Signed tokens are not enabled$"):
        verify(token, off)
    assert verify("other", off) is None


# What is not good


@pytest.mark.parametrize(
    "payload",
    [
        {"t": 1},
        {"a": "root"},
        {"a": "root", "t": True},
        {"a": "root", "t": None},
        {"a": "root", "t": 1.5},
        {"a": "root", "t": "1"},
        {"a": "root", "t": [1]},
        {"a": "root", "t": 1, "d": True},
        {"a": "root", "t": 1, "d": "60"},
        {"a": "root", "t": 1, "d": 1.5},
        {"a": "root", "t": 1, "d": {}},
        {},
        [],
        [["a", "root"], ["t", 1]],
        "x",
        "",
        0,
        1.5,
        True,
        None,
    ],
    ids=lambda payload: repr(payload)[:40],
)
@pytest.mark.parametrize("ttl", [None, 60])
def test_a_payload_that_the_handler_does_not_write_is_malformed(payload: object, ttl: int | None) -> None:
    """Well signed or not, it is refused as such, and never breaks anything."""
    with pytest.raises(TokenMalformed, match=r"^Invalid token"):
        verify(signed(payload), host(token_ttl=ttl))


@pytest.mark.parametrize(
    "rest", ["", ".", "..", "a", "a.b", "\x00", "é.é", "\udc80", "a.\ud800", ".eJw.x", "=" * 9, "💥" * 3], ids=ascii
)
def test_a_token_of_no_form_is_refused(rest: str) -> None:
    """Whatever follows the prefix: half a surrogate pair, as a header or a terminal may give one, included."""
    with pytest.raises(TokenSignatureInvalid, match=r"^Invalid token signature$") as caught:
        verify(PREFIX + rest)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("ttl", [None, 60])
def test_a_time_of_any_size_breaks_nothing(ttl: int | None) -> None:
    """A well signed time beyond every clock is far in the past, or in the future."""
    past, future = (signed({"a": "root", "t": time, "d": 1}) for time in (-(10**400), 10**400))

    with pytest.raises(TokenExpired):
        verify(past, host(token_ttl=ttl))
    assert verify(future, host(token_ttl=ttl))["token_expires"] == 10**400 + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=6,
)


@hypothesis.given(
    payload=json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(("a", "t", "d", "_r"), json_values))
)
def test_a_signed_payload_of_any_kind_is_an_actor_or_refused(payload: object) -> None:
    """There is no third way."""
    try:
        actor = verify(signed(payload))
    except (TokenMalformed, TokenExpired):
        return
    assert (actor["id"], actor["token"]) == (payload["a"], "dstok") or payload["a"] != payload["a"]


@hypothesis.given(actor_id=st.text(), life=st.none() | st.integers(1, 10**12), data=st.data())
def test_what_was_created_is_verified(actor_id: str, life: int | None, data: st.DataObject) -> None:
    """Actor, life and restrictions come back as they went in."""
    actions = st.lists(st.text(max_size=5), max_size=3)
    restrictions = TokenRestrictions(
        all=data.draw(actions),
        database=data.draw(st.dictionaries(st.text(max_size=5), actions, max_size=2)),
        resource=data.draw(
            st.dictionaries(st.text(max_size=5), st.dictionaries(st.text(max_size=5), actions, max_size=2), max_size=2)
        ),
    )
    handler = SignedTokenHandler(Clock(2_000_000))

    actor = verify(
        create(handler=handler, actor_id=actor_id, expires_after=life, restrictions=restrictions), handler=handler
    )

    expected = {"id": actor_id, "token": "dstok"}
    if restrictions.abbreviated(HOST) is not None:
        expected["_r"] = restrictions.abbreviated(HOST)
    if life is not None:
        expected["token_expires"] = 2_000_000 + life
    assert actor == expected


GOOD = create(expires_after=10**9)


@hypothesis.given(position=st.integers(0, len(GOOD) - 1), character=st.characters() | st.sampled_from(TOKEN_CHARACTERS))
def test_a_token_with_a_changed_character_is_refused_or_unrecognized(position: int, character: str) -> None:
    """Nobody gets in with a token that was tampered with."""
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    hypothesis.assume(_bytes_of(changed) != _bytes_of(GOOD))

    if changed.startswith(PREFIX):
        with pytest.raises(TokenSignatureInvalid):
            verify(changed)
    else:
        assert verify(changed) is None


@hypothesis.given(text=st.text())
def test_any_text_is_refused_or_unrecognized(text: str) -> None:
    """No text but a token is one."""
    assert verify(text) is None or text.startswith(PREFIX)
    with pytest.raises(TokenSignatureInvalid):
        verify(PREFIX + text)


def test_no_error_carries_any_part_of_the_token() -> None:
    """Neither the message, the arguments, nor a cause of a refusal has it."""
    token = create()
    payload = token.removeprefix(PREFIX).split(".")[0]

    with pytest.raises(TokenSignatureInvalid) as caught:
        verify(token[:-4])

    assert payload not in repr(caught.value) + repr(vars(caught.value))
    assert caught.value.__suppress_context__


def _some(restrictions):
    return (
        restrictions.allow_all("view-instance")
        .allow_all("unknown-action")
        .allow_database("one", "create-table")
        .allow_resource("one", "pages", "insert-row")
        .allow_resource("one", "pages", "update-row")
    )


def _bytes_of(token: str) -> object:
    """A token as what is signed and the signature's bytes: the last of its characters has two bits to spare."""
    signed_text, _, signature = token.rpartition(".")
    try:
        return signed_text, base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except ValueError:
        return signed_text, signature
