"""The base class of token handlers, and the check if an object is one."""

from __future__ import annotations

import datasette.tokens
import pytest

from heliograph import SignedTokenHandler, TokenHandler
from heliograph.tokens.handler import is_token_handler

pytestmark = pytest.mark.anyio


class OwnBaseClass:
    """A handler without any base class."""

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        return "token"

    async def verify_token(self, datasette, token):
        return None


class OneMethod:
    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        return "token"


class MethodIsNoFunction(OwnBaseClass):
    verify_token = "not callable"


@pytest.mark.parametrize(
    "handler", [TokenHandler(), SignedTokenHandler(), datasette.tokens.SignedTokenHandler(), OwnBaseClass()]
)
def test_object_with_the_two_methods_is_a_token_handler(handler: object) -> None:
    """The base class of a handler does not matter."""
    assert is_token_handler(handler)


@pytest.mark.parametrize(
    "other",
    [TokenHandler, OwnBaseClass, OneMethod(), MethodIsNoFunction(), None, "text", 1, object(), [OwnBaseClass()], {}],
)
def test_any_other_object_is_no_token_handler(other: object) -> None:
    """A class is none either: its methods need an instance."""
    assert not is_token_handler(other)


async def test_base_class_creates_and_verifies_nothing() -> None:
    """A subclass that does not override a method fails when the method is called, with its own name in the message."""

    class Half(TokenHandler):
        name = "half"

    with pytest.raises(NotImplementedError, match="Half does not create tokens"):
        await Half().create_token(None, "root")
    with pytest.raises(NotImplementedError, match="Half does not verify tokens"):
        await Half().verify_token(None, "any")
