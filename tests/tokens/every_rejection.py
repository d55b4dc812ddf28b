"""The rejections of both hosts, and the result of each on the wire."""

from __future__ import annotations

import datasette.tokens

from heliograph.errors import (
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenRevoked,
    TokensDisabled,
    TokenSignatureInvalid,
)

REJECTIONS: list[tuple[Exception, str]] = [
    (TokenInvalid(), "invalid"),
    (TokenMalformed(), "invalid"),
    (TokenSignatureInvalid(), "invalid"),
    (TokensDisabled(), "invalid"),
    (TokenExpired(1), "expired"),
    (TokenExpired(1, "too late"), "expired"),
    (TokenRevoked(), "revoked"),
    (datasette.tokens.TokenInvalid("Invalid token signature"), "invalid"),
    (datasette.tokens.TokenInvalid("Token has expired"), "expired"),
]
