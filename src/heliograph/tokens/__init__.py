"""Create and verify API tokens with the token handlers that plugins provide, and record each operation.

The functions of this package manage the tokens that a host keeps in a database; `heliograph.tokens.stored` has their design.
"""

from heliograph.tokens.stored.operations import IssuedToken, issue, restrict, revoke, revoke_all, rotate, tokens
from heliograph.tokens.stored.record import Token

__all__ = ["IssuedToken", "Token", "issue", "restrict", "revoke", "revoke_all", "rotate", "tokens"]
