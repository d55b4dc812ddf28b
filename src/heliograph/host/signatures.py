"""Sign values with a host's keys, in the form of itsdangerous and Datasette.

Threads: any thread may use any object of these. `Signatures._must_warn` changes without a lock: if two threads race for it, the warning
is logged twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import itsdangerous

from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.settings import DIGESTS

logger: Final = SafeLogger(SCOPE)


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
        keys: The keys, the newest first. If there is none, a random one is generated, and the first use logs a warning.
        digests: The names of hash functions, of `heliograph.settings.DIGESTS`.
    """

    def __init__(self, keys: Sequence[str], digests: Sequence[str]) -> None:
        self._must_warn = not keys
        # Generated here, not when something is first signed: two threads would generate two.
        self._keys = tuple(keys) or (secrets.token_hex(32),)
        self._digests = tuple(DIGESTS[name] for name in digests)

    def sign(self, value: object, namespace: str) -> str:
        """Return a value as signed text."""
        self._warn_of_random_key()
        _, serializer = next(self._serializers(namespace))
        text = serializer.dumps(value)
        return text if isinstance(text, str) else text.decode()

    def unsign(self, signed: str, namespace: str) -> SignedValue:
        """Return the value of a text that `sign` returned in the same namespace, and the number of its key.

        Raises:
            itsdangerous.BadSignature: No key has signed the text.
            itsdangerous.BadPayload: The text was signed, and is not a value.
        """
        self._warn_of_random_key()
        failure = itsdangerous.BadSignature("no key has signed it")
        for number, serializer in self._serializers(namespace):
            try:
                return SignedValue(serializer.loads(signed), number)
            except itsdangerous.BadSignature as error:
                failure = error
        raise failure

    def _warn_of_random_key(self) -> None:
        if self._must_warn:
            self._must_warn = False
            logger.warning(
                "HELIOGRAPH_SECRET is not set, so this process signs with a random secret. Its signatures, and with them its "
                "signed tokens, are not accepted by any other process, nor by this program after a restart."
            )

    def _serializers(self, namespace: str) -> Iterator[tuple[int, itsdangerous.URLSafeSerializer]]:
        for number, key in enumerate(self._keys):
            for digest in self._digests:
                yield number, itsdangerous.URLSafeSerializer(key, namespace, signer_kwargs={"digest_method": digest})
