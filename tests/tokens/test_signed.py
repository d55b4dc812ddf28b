"""Signed tokens are interchangeable with those of Datasette, and only valid ones are accepted."""

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
    """A clock that shows the time that the test sets."""

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
    """Return a token with this payload and a correct signature."""
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
def test_datasette_accepts_a_token_of_a_host(real: Datasette, restrictions_class: type) -> None:
    """Both return the same actor, with its restrictions and its time of expiry."""
    restrictions = _some(restrictions_class())

    token = create(expires_after=60, restrictions=restrictions)

    actor = asyncio.run(real.verify_token(token))
    assert actor == verify(token)
    assert actor["id"] == "root"
    assert actor["token"] == "dstok"
    assert actor["_r"] == {"a": ["vi", "unknown-action"], "d": {"one": ["ct"]}, "r": {"one": {"pages": ["ir", "ur"]}}}
    assert 0 <= actor["token_expires"] - time.time() <= 60


@restrictions_of_both
def test_host_accepts_a_token_of_datasette(real: Datasette, restrictions_class: type) -> None:
    """The host and Datasette return the same actor."""
    token = asyncio.run(real.create_token("root", expires_after=60, restrictions=_some(restrictions_class())))

    actor = verify(token)

    assert actor == asyncio.run(real.verify_token(token))
    assert actor["_r"]["d"] == {"one": ["ct"]}


def test_both_write_the_same_payload(real: Datasette) -> None:
    """In the same second, for the same arguments, both create the same token."""
    for restrictions in (None, _some(TokenRestrictions()), TokenRestrictions()):
        theirs = asyncio.run(real.create_token("root", expires_after=60, restrictions=restrictions))
        payload = HOST.unsign(theirs.removeprefix(PREFIX), namespace=NAMESPACE)

        assert (
            create(handler=SignedTokenHandler(Clock(payload["t"])), expires_after=60, restrictions=restrictions)
            == theirs
        )


def test_both_reject_an_expired_token(real: Datasette) -> None:
    """The host and Datasette have the same message."""
    token = create(handler=SignedTokenHandler(Clock(1000)), expires_after=1)

    with pytest.raises(TokenExpired, match=r"^Token has expired$") as caught:
        verify(token)
    with pytest.raises(datasette.tokens.TokenInvalid, match=r"^Token has expired$"):
        asyncio.run(real.verify_token(token))
    assert caught.value.expired_at == 1001


@pytest.mark.parametrize("life", [None, 10, 10_000])
@pytest.mark.parametrize("age", [0, 5, 11, 101])
def test_maximum_lifetime_means_the_same_in_both(life: int | None, age: int) -> None:
    """`token_ttl` works like `max_signed_tokens_ttl`, for tokens with and without a lifetime of their own."""
    real = Datasette(memory=True, secret=SECRET, settings={"max_signed_tokens_ttl": 100})
    token = create(handler=SignedTokenHandler(Clock(time.time() - age)), expires_after=life)

    def actor_or_message(verify):
        try:
            return verify()
        except (TokenInvalid, datasette.tokens.TokenInvalid) as error:
            return str(error)

    ours = actor_or_message(lambda: verify(token, host(token_ttl=100)))
    theirs = actor_or_message(lambda: asyncio.run(datasette.tokens.SignedTokenHandler().verify_token(real, token)))
    real.close()
    assert ours == theirs
    assert (ours == "Token has expired") is (age > min(life or 100, 100))


def test_both_reject_a_token_that_was_signed_with_another_secret(real: Datasette) -> None:
    """The host and Datasette have the same message."""
    token = create(host(secret=("another",)))

    with pytest.raises(TokenSignatureInvalid, match=r"^Invalid token signature$"):
        verify(token)
    with pytest.raises(datasette.tokens.TokenInvalid, match=r"^Invalid token signature$"):
        asyncio.run(real.verify_token(token))


# Lifetime


def test_token_expires_after_its_last_second() -> None:
    """A token is still valid at exactly its time of expiry."""
    clock = Clock()
    handler = SignedTokenHandler(clock)
    token = create(handler=handler, expires_after=60)

    clock.now += 60
    assert verify(token, handler=handler)["token_expires"] == 1_000_060
    clock.now += 0.001
    with pytest.raises(TokenExpired):
        verify(token, handler=handler)


def test_token_without_a_lifetime_never_expires() -> None:
    """A token is valid after a hundred years, and its actor has no `token_expires`."""
    clock = Clock()
    handler = SignedTokenHandler(clock)
    token = create(handler=handler)

    clock.now += 100 * 365 * 86400

    assert verify(token, handler=handler) == {"id": "root", "token": "dstok"}


@pytest.mark.parametrize("life", [0, -1, True, False, 1.5, "60"], ids=repr)
def test_lifetime_that_is_no_positive_integer_is_an_error(life: object) -> None:
    """For 0, Datasette creates a token that never expires. A host requires `None` for that."""
    with pytest.raises(ValueError, match=r"^expires_after must be a whole number of seconds above 0, or None"):
        create(expires_after=life)


def test_tokens_of_an_older_secret_stay_valid_after_a_rotation() -> None:
    """The newest secret signs. A token of a secret that is no longer in the setting is rejected."""
    old, rotated, new = host(secret=("old",)), host(secret=("new", "old")), host(secret=("new",))

    before, after = create(old), create(rotated)

    assert verify(before, rotated) == verify(after, rotated) == verify(after, new)
    for token, other in ((before, new), (after, old)):
        with pytest.raises(TokenSignatureInvalid):
            verify(token, other)


def test_no_token_is_created_or_accepted_while_signed_tokens_are_off() -> None:
    """A valid token is rejected too. A token without the prefix is not recognized."""
    token, off = create(), host(allow_signed_tokens=False)

    with pytest.raises(TokensDisabled):
        create(off)
    with pytest.raises(TokensDisabled, match=r"^Signed tokens are not enabled$"):
        verify(token, off)
    assert verify("other", off) is None


def test_lifetime_counts_from_the_second_in_which_the_token_was_created() -> None:
    """The time of creation is rounded down, never up, so that no clock sees a token from the future."""
    clock = Clock(1_000_000.9)
    handler = SignedTokenHandler(clock)

    token = create(handler=handler, expires_after=60)

    assert verify(token, handler=handler)["token_expires"] == 1_000_060


def test_setting_is_checked_before_the_signature() -> None:
    """While signed tokens are off, the answer does not depend on whether the token was signed."""
    off = host(allow_signed_tokens=False)

    with pytest.raises(TokensDisabled):
        verify(PREFIX + "forged", off)


def test_token_of_another_namespace_is_rejected() -> None:
    """A value that the host signed for another purpose, such as a cookie, is no token."""
    cookie = HOST.sign({"a": "root", "t": 1}, namespace="cookie")

    with pytest.raises(TokenSignatureInvalid):
        verify(PREFIX + cookie)


# Invalid tokens


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
def test_payload_that_the_handler_does_not_write_is_malformed(payload: object, ttl: int | None) -> None:
    """A wrong payload is rejected although its signature is correct, and no other exception is raised."""
    with pytest.raises(TokenMalformed, match=r"^Invalid token"):
        verify(signed(payload), host(token_ttl=ttl))


@pytest.mark.parametrize(
    "rest", ["", ".", "..", "a", "a.b", "\x00", "é.é", "\udc80", "a.\ud800", ".eJw.x", "=" * 9, "💥" * 3], ids=ascii
)
def test_text_without_a_signature_is_rejected(rest: str) -> None:
    """Any text may follow the prefix, even a lone surrogate, which a header or a terminal may contain."""
    with pytest.raises(TokenSignatureInvalid, match=r"^Invalid token signature$") as caught:
        verify(PREFIX + rest)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("ttl", [None, 60])
def test_timestamp_of_any_size_is_handled(ttl: int | None) -> None:
    """A signed timestamp beyond the range of any clock is far in the past or in the future."""
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
def test_any_signed_payload_is_accepted_or_rejected(payload: object) -> None:
    """No other exception is raised."""
    try:
        actor = verify(signed(payload))
    except (TokenMalformed, TokenExpired):
        return
    assert (actor["id"], actor["token"]) == (payload["a"], "dstok") or payload["a"] != payload["a"]


@hypothesis.given(actor_id=st.text(), life=st.none() | st.integers(1, 10**12), data=st.data())
def test_created_token_is_valid(actor_id: str, life: int | None, data: st.DataObject) -> None:
    """The actor has the id, the restrictions and the expiry that the token was created with."""
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
def test_token_with_a_changed_character_is_rejected_or_not_recognized(position: int, character: str) -> None:
    """No character of a token can be changed, except the unused bits of the last one."""
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    hypothesis.assume(_bytes_of(changed) != _bytes_of(GOOD))

    if changed.startswith(PREFIX):
        with pytest.raises(TokenSignatureInvalid):
            verify(changed)
    else:
        assert verify(changed) is None


@hypothesis.given(text=st.text())
def test_any_text_is_rejected_or_not_recognized(text: str) -> None:
    """Only a text with the prefix is recognized, and it needs a correct signature."""
    assert verify(text) is None or text.startswith(PREFIX)
    with pytest.raises(TokenSignatureInvalid):
        verify(PREFIX + text)


def test_rejection_carries_no_part_of_the_token() -> None:
    """The message, the arguments and the cause of a rejection contain no part of it."""
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
    """Return the signed text and the bytes of the signature: the last character of a token has two unused bits."""
    signed_text, _, signature = token.rpartition(".")
    try:
        return signed_text, base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except ValueError:
        return signed_text, signature
