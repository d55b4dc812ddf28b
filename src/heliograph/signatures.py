"""Sign values with a host's keys, in the form of itsdangerous and Datasette."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import itsdangerous

DIGESTS: Final = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
"""The hash functions of signatures, by name. Datasette uses SHA-1, which is safe in an HMAC, but forbidden by some rules."""


class SignedValue(NamedTuple):
    """A value whose signature is right.

    Attributes:
        value: The value.
        key_number: The number of the key that signed it: 0 is the newest.
    """

    value: object
    key_number: int


class Signatures:
    """Signs values with the newest key and the first hash function, and accepts the signatures of all of them.

    Args:
        keys: The keys, the newest first.
        digests: The names of hash functions, of `DIGESTS`.
    """

    def __init__(self, keys: Sequence[str], digests: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._digests = tuple(DIGESTS[name] for name in digests)

    def sign(self, value: object, namespace: str) -> str:
        """Return a value as signed text."""
        _, serializer = next(self._serializers(namespace))
        text = serializer.dumps(value)
        return text if isinstance(text, str) else text.decode()

    def unsign(self, signed: str, namespace: str) -> SignedValue:
        """Return the value of a text that `sign` returned in the same namespace, and the number of its key.

        Raises:
            itsdangerous.BadSignature: No key has signed the text.
            itsdangerous.BadPayload: The text was signed, and is not a value.
        """
        failure: itsdangerous.BadSignature | None = None
        for number, serializer in self._serializers(namespace):
            try:
                return SignedValue(serializer.loads(signed), number)
            except itsdangerous.BadSignature as error:
                failure = error
        raise failure or itsdangerous.BadSignature("there is no key")

    def _serializers(self, namespace: str) -> Iterator[tuple[int, itsdangerous.URLSafeSerializer]]:
        for number, key in enumerate(self._keys):
            for digest in self._digests:
                yield number, itsdangerous.URLSafeSerializer(key, namespace, signer_kwargs={"digest_method": digest})
