"""Create and verify API tokens with the token handlers that plugins provide, and record each operation.

The functions of this package manage the tokens that a host keeps in a database; `heliograph.tokens.stored` has their design.
"""

from heliograph.tokens.stored.operations import (
    IssuedToken,
    find,
    get,
    issue,
    restrict,
    revoke,
    revoke_all,
    rotate,
    secrets,
    state_of,
    tokens,
)
from heliograph.tokens.stored.record import Secret, Token

__all__ = [
    "IssuedToken",
    "Secret",
    "Token",
    "find",
    "get",
    "issue",
    "restrict",
    "revoke",
    "revoke_all",
    "rotate",
    "secrets",
    "state_of",
    "tokens",
]
