"""The text of a database token: prefix, id, secret and checksum.

``hgtok_`` is followed by 12 characters of id, 43 of secret and 6 of checksum, all of them digits or ASCII letters:

- The prefix lets secret scanners find a token in a repository or a log.
- The id is not secret. Telemetry, log lines and lists of tokens name a token by it.
- The secret has 256 bits, so a fast hash protects it: nobody can try them all.
- The checksum is CRC-32 of everything before it. A mistyped or invented token is rejected without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from typing import Final

PREFIX: Final = "hgtok_"
ID_LENGTH: Final = 12
SECRET_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
MAX_LENGTH: Final = 4096
"""A longer text is rejected before anything else is done with it."""

PATTERN: Final = re.compile(r"hgtok_[0-9A-Za-z]{61}")

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


def new_id() -> str:
    """Return a new random token id."""
    return _random(ID_LENGTH)


def new_token(token_id: str) -> str:
    """Return a new token with this id and a random secret."""
    body = PREFIX + token_id + _random(SECRET_LENGTH)
    return body + checksum(body)


def checksum(body: str) -> str:
    """Return CRC-32 of the text, in base 62, with zeros before it."""
    number, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def is_well_formed(token: str) -> bool:
    """Return True if the text has the form of a token, and its checksum is right."""
    if len(token) > MAX_LENGTH or PATTERN.fullmatch(token) is None:
        return False
    return checksum(token[:-CHECKSUM_LENGTH]) == token[-CHECKSUM_LENGTH:]


def id_of(token: str) -> str:
    """Return the id in a token that is known to be genuine. Any other text may claim an id that is not its own."""
    return token[len(PREFIX) : len(PREFIX) + ID_LENGTH]


def hash_of(token: str) -> bytes:
    """Return SHA-256 of a well-formed token: the form in which it is stored."""
    return hashlib.sha256(token.encode("ascii")).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
