"""The contract of a token backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from heliograph.events import Actor
from heliograph.tokens.restrictions import HasActions, TokenRestrictions

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class TokenHost(HasActions, Protocol):
    """What a host offers a token handler: a `Host`, or Datasette."""

    def setting(self, key: str) -> object:
        """The value of a setting, or `None`."""

    def sign(self, value: object, namespace: str = "default") -> str:
        """The value, signed with the host's secret."""

    def unsign(self, signed: str, namespace: str = "default") -> object:
        """The value that was signed; raises `itsdangerous.BadSignature`."""


class TokenHandlerLike(Protocol):
    """The shape of a token handler: what Datasette's `TokenHandler` and ours have in common."""

    name: str

    async def create_token(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        """See `TokenHandler.create_token`."""

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """See `TokenHandler.verify_token`."""


class TokenHandler:
    """The base of token backends: subclass it, and return an instance from the hook ``register_token_handler``.

    Attributes:
        name: What `create_token(handler=…)` asks for it by.
    """

    name: str = ""

    async def create_token(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        """A new token.

        Args:
            datasette: The host.
            actor_id: Whose token it is.
            expires_after: Its life in seconds; `None` for no end.
            restrictions: What it may be used for; `None` for everything.
        """
        raise NotImplementedError(f"{type(self).__name__} does not create tokens")

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """The actor that the token stands for; `None` for a token of somebody else's.

        Raises:
            TokenInvalid: The token is of this handler's, and is not good.
        """
        raise NotImplementedError(f"{type(self).__name__} does not verify tokens")


def is_token_handler(thing: object) -> TypeIs[TokenHandlerLike]:
    """Whether the thing is a token handler by its shape: a plugin may build on Datasette's base class, or on ours."""
    if isinstance(thing, type):  # the class has the methods too, and cannot be asked
        return False
    return all(callable(getattr(thing, method, None)) for method in ("create_token", "verify_token"))
