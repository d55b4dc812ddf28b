"""The exceptions by which a token handler rejects a token: heliograph's `TokenInvalid`, and Datasette's.

Both hosts accept handlers that were written for the other one. A rejection is a result of a verification; any other
exception of a handler is an error.
"""

from __future__ import annotations

import functools
import sys
from typing import Final

from heliograph.errors import TokenExpired, TokenInvalid, TokenRevoked

DATASETTE_EXPIRED: Final = "Token has expired"
"""The message of Datasette's exception for an expired token. It has no class or attribute of its own to recognize it by."""
DATASETTE_REVOKED: Final = "revoked"
"""The word in the message of a Datasette handler for a revoked token."""

REJECTIONS: Final = ("expired", "revoked", "invalid")
"""The results of a rejection. A token that no handler recognizes is not rejected."""
VALID: Final = "valid"
UNRECOGNIZED: Final = "unrecognized"
ERROR: Final = "error"
RESULTS: Final = (VALID, *REJECTIONS, UNRECOGNIZED, ERROR)
"""The values of `heliograph.token.result` for a verification."""


def is_rejection(error: BaseException) -> bool:
    """Return True if the exception means that a handler rejects a token."""
    # Datasette is not imported for this: if it is not loaded, no handler can have raised its exception.
    datasette_class = getattr(sys.modules.get("datasette.tokens"), "TokenInvalid", TokenInvalid)
    return isinstance(error, (TokenInvalid, datasette_class))


def rejection_as(error: Exception, base: type[Exception]) -> Exception:
    """Return a rejection as an instance of ``base``, so that a host catches it.

    Returns:
        The exception itself if it is an instance of ``base``. Otherwise a copy with the same message and data, whose class
        is derived from both its own class and ``base``.
    """
    if isinstance(error, base):
        return error
    cls = combined_class(type(error), base)  # type: ignore[arg-type]  # mypy does not know that classes are hashable
    # __new__ and a copied __dict__, because the arguments of __init__ are unknown: `TokenExpired` takes a time.
    copy: Exception = cls.__new__(cls, *error.args)
    copy.__dict__.update(error.__dict__)
    return copy


@functools.lru_cache(maxsize=256)
def combined_class(first: type, second: type) -> type:
    """Return a class derived from both classes, with the name of the first. The result is cached."""
    return type(first.__name__, (first, second), {"__module__": first.__module__})


def rejection_result(error: BaseException) -> str:
    """Return the value of `heliograph.token.result` for a rejected token."""
    if isinstance(error, TokenExpired) or str(error) == DATASETTE_EXPIRED:
        return "expired"
    if isinstance(error, TokenRevoked) or DATASETTE_REVOKED in str(error).lower():
        return "revoked"
    return "invalid"
