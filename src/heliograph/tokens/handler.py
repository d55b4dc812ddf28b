"""The interface of token handlers, and of the hosts that call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from heliograph.ambient_actor import Actor
from heliograph.runtime.program_errors import getattr_or_none
from heliograph.tokens.restrictions import HasActions, TokenRestrictions

if TYPE_CHECKING:
    from typing_extensions import TypeIs


class TokenHost(HasActions, Protocol):
    """The part of a host that token handlers use. A `Host` and a Datasette both have it."""

    def setting(self, key: str) -> object:
        """Return the value of a setting, or `None` if there is no such setting."""

    def sign(self, value: object, namespace: str = "default") -> str:
        """Return the value as text, signed with the host's secret."""

    def unsign(self, signed: str, namespace: str = "default") -> object:
        """Return the value that was signed.

        Raises:
            itsdangerous.BadData: The signature is wrong.
        """


class TokenHandlerLike(Protocol):
    """The interface that Datasette's `TokenHandler` and heliograph's have in common."""

    name: str

    async def create_token(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        """Create a token; see `TokenHandler.create_token`."""

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """Verify a token; see `TokenHandler.verify_token`."""


class TokenHandler:
    """The base class of token handlers. Return an instance of a subclass from the hook ``register_token_handler``.

    Attributes:
        name: The name of the handler, for `create_token(handler=…)`.
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
        """Return a new token.

        Args:
            datasette: The host.
            actor_id: The id of the actor that the token authenticates.
            expires_after: The lifetime of the token in seconds; `None` means that it never expires.
            restrictions: The actions that the token allows; `None` allows everything that the actor may do.
        """
        raise NotImplementedError(f"{type(self).__name__} does not create tokens")

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """Return the actor that the token authenticates, or `None` if it is not a token of this handler.

        A host asks the next handler if this one returns `None`, and asks no other if it raises.

        Raises:
            TokenInvalid: It is a token of this handler, and the handler rejects it.
        """
        raise NotImplementedError(f"{type(self).__name__} does not verify tokens")


def is_token_handler(candidate: object) -> TypeIs[TokenHandlerLike]:
    """Return True if the object has the methods of a token handler.

    Its base class does not matter: a plugin may use the one of Datasette, the one of heliograph, or none.
    """
    if isinstance(candidate, TokenHandler):
        return True
    # A class has the methods too, but they need an instance.
    if isinstance(candidate, type):
        return False
    return callable(getattr(candidate, "create_token", None)) and callable(getattr(candidate, "verify_token", None))


def name_of_handler(handler: object) -> str:
    """Return the name of a handler in telemetry: its own, or that of its class."""
    name = getattr_or_none(handler, "name")
    return name if isinstance(name, str) and name else type(handler).__name__
