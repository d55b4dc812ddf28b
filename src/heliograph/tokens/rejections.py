"""The exceptions by which a handler refuses a token: ours, and Datasette's."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Final

from heliograph.errors import TokenExpired, TokenInvalid, TokenRevoked

DATASETTE_EXPIRED: Final = "Token has expired"
"""Datasette's handler tells an expired token from a forged one by this text alone."""


def is_token_invalid(error: BaseException) -> bool:
    """Whether a handler says by this exception, ours or Datasette's, that it refuses a token."""
    theirs = getattr(sys.modules.get("datasette.tokens"), "TokenInvalid", TokenInvalid)  # never imported for this
    return isinstance(error, (TokenInvalid, theirs))


def refused_as(base: type[Exception]) -> Callable[[Exception], Exception]:
    """A function that makes an exception one of ``base`` too: the same class, data and message beside it."""

    def refuse(error: Exception) -> Exception:
        if isinstance(error, base):
            return error
        cls = both_classes(type(error), base)  # type: ignore[arg-type]  # mypy takes a class for not hashable
        refusal: Exception = cls.__new__(cls, *error.args)
        refusal.__dict__.update(error.__dict__)
        return refusal

    return refuse


@functools.lru_cache(maxsize=256)
def both_classes(first: type, second: type) -> type:
    """A class that is both, under the name of the first."""
    return type(first.__name__, (first, second), {"__module__": first.__module__})


def result_of(error: BaseException) -> str:
    """The value of `heliograph.token.result` for a refused token."""
    if isinstance(error, TokenExpired) or str(error) == DATASETTE_EXPIRED:
        return "expired"
    return "revoked" if isinstance(error, TokenRevoked) else "invalid"
