"""Signatures are those of itsdangerous, made with the newest key, and accepted from all keys and hash functions."""

from __future__ import annotations

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import itsdangerous
import pytest

from heliograph import Host, Settings
from heliograph.host.signatures import Signatures
from heliograph.settings import DIGESTS
from threads import LIMIT_SECONDS

SHA1 = ("sha1",)


def test_number_of_the_key_is_its_position() -> None:
    """The newest key is 0, and signs."""
    both = Signatures(("new", "old"), SHA1)

    assert both.unsign(both.sign([1], "n"), "n") == ([1], 0)
    assert both.unsign(Signatures(("old",), SHA1).sign([1], "n"), "n") == ([1], 1)
    assert Signatures(("new",), SHA1).unsign(both.sign([1], "n"), "n") == ([1], 0)


def test_text_of_an_unknown_key_is_refused() -> None:
    """The same holds for another namespace, and for a random key."""
    signed = Signatures(("other",), SHA1).sign(1, "n")

    for keys, namespace in ((("new", "old"), "n"), (("other",), "m"), ((), "n")):
        with pytest.raises(itsdangerous.BadSignature):
            Signatures(keys, SHA1).unsign(signed, namespace)


def test_signed_text_that_is_no_value_is_reported_as_such() -> None:
    """The signature is right, so no other key is tried."""
    signed = itsdangerous.Signer("new", b"n").sign(b"%").decode()

    with pytest.raises(itsdangerous.BadPayload):
        Signatures(("new", "old"), SHA1).unsign(signed, "n")


@pytest.mark.parametrize("digest", DIGESTS)
def test_hash_function_is_that_of_itsdangerous(digest: str) -> None:
    """A serializer with the same hash function accepts the text, and one with another does not."""
    signed = Signatures(("key",), (digest,)).sign({"a": 1}, "n")

    same = itsdangerous.URLSafeSerializer("key", "n", signer_kwargs={"digest_method": DIGESTS[digest]})
    other = itsdangerous.URLSafeSerializer("key", "n", signer_kwargs={"digest_method": hashlib.md5})
    assert same.loads(signed) == {"a": 1}
    with pytest.raises(itsdangerous.BadSignature):
        other.loads(signed)


def test_hash_function_is_changed_without_an_interruption() -> None:
    """While both are set, the texts of both are accepted; then those of the old one are not."""
    old, both, new = (Signatures(("key",), digests) for digests in (SHA1, ("sha256", "sha1"), ("sha256",)))
    before, after = old.sign(1, "n"), both.sign(1, "n")

    assert both.unsign(before, "n") == both.unsign(after, "n") == new.unsign(after, "n") == (1, 0)
    for signatures, text in ((old, after), (new, before)):
        with pytest.raises(itsdangerous.BadSignature):
            signatures.unsign(text, "n")


def test_host_signs_with_the_hash_function_of_the_setting() -> None:
    """The setting takes effect in `sign` and `unsign`, which tokens use."""
    with Host(Settings(secret=("key",), signature_digest=("sha512",))) as host:
        signed = host.sign({"a": 1})

        assert host.unsign(signed) == {"a": 1}
        assert Signatures(("key",), ("sha512",)).unsign(signed, "default") == ({"a": 1}, 0)


def test_host_without_a_secret_generates_one_with_one_warning(warnings: pytest.LogCaptureFixture) -> None:
    """The host verifies its own signatures, and another host rejects them."""
    host, other = Host(Settings()), Host(Settings())

    assert host.unsign(host.sign("value")) == "value"
    assert [record.levelno for record in warnings.records] == [logging.WARNING]
    assert "HELIOGRAPH_SECRET is not set" in warnings.text
    with pytest.raises(itsdangerous.BadSignature):
        other.unsign(host.sign("value"))


def test_all_threads_share_the_generated_secret() -> None:
    """Threads that sign at the same time, as the first ones, do not generate two."""
    for _ in range(20):
        host, barrier = Host(Settings()), threading.Barrier(4, timeout=LIMIT_SECONDS)

        def sign(number: int, host=host, barrier=barrier) -> str:
            barrier.wait()
            return host.sign(number)

        with ThreadPoolExecutor(4) as pool:
            signed = list(pool.map(sign, range(4)))

        assert [host.unsign(each) for each in signed] == [0, 1, 2, 3]
