"""Record one verdict for each verification of a token, however many handlers are asked.

A host asks its handlers in turn until one accepts or rejects the token. `None` means "not mine", so the answer of a single handler
cannot say how many requests had no good token. A `Verification` is shared by the proxies of all handlers that the host got from one
call of the hook. It begins with the first handler that is asked, and ends with the one that decides; or, as ``unrecognized``,
with the last one; or, if the host stops earlier and drops the handlers, with the next operation on a token.

A host usually gets new handlers for each token. One that keeps them may verify many tokens, also at the same time, so each token that
is being verified has an operation of its own.

A `Host` asks the handlers itself, so it needs neither proxies nor a `Verification`: it calls `verify_in_turn`, which costs less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

from heliograph.ambient_actor import Actor
from heliograph.runtime.program_errors import getattr_or_none, program_errors
from heliograph.semconv import TOKEN_KEY_NUMBER, TOKEN_VERIFY
from heliograph.telemetry.actor_attributes import MAX_TOKEN_ID_LENGTH, TOKEN_ID_KEY
from heliograph.tokens.handler import TokenHandlerLike, TokenHost, name_of_handler
from heliograph.tokens.rejections import UNRECOGNIZED, VALID
from heliograph.tokens.signed import PREFIX as SIGNED_PREFIX
from heliograph.tokens.signed import SignedActor
from heliograph.tokens.telemetry import TokenOperation, TokenTelemetry

_OF_KNOWN_TOKENS: Final = ("expired", "revoked")
"""The rejections of tokens that the handler knows. Any other text may claim an id that is not its own."""
_ID_LENGTH: Final = 12
_KEY_NUMBER: Final = str(TOKEN_KEY_NUMBER)


async def verify_in_turn(
    telemetry: TokenTelemetry, handlers: Iterable[TokenHandlerLike], datasette: TokenHost, token: str
) -> Actor | None:
    """Ask handlers in turn until one decides, and record the verdict. A host that asks them itself needs no `Verification`.

    Args:
        telemetry: Records the verdict.
        handlers: The handlers.
        datasette: The host.
        token: The token.

    Returns:
        The actor of the handler that accepted the token, with the id of the token; `None` if no handler did.

    Raises:
        BaseException: The exception of a handler.
    """
    operation = telemetry.begin(TOKEN_VERIFY)
    handler, entered = None, operation.enter()
    try:
        for handler in handlers:
            actor = await handler.verify_token(datasette, token)
            if actor is not None:
                return note_acceptance(operation, name_of_handler(handler), token, actor)
        operation.result = UNRECOGNIZED
    except BaseException as error:
        set_failure(operation, name_of_handler(handler), token, error)
        raise
    finally:
        operation.leave(entered)
        operation.measure()
        telemetry.end(operation)
    return None


class _Attempt:
    """One token that is being verified.

    Attributes:
        operation: Records it.
        asked: The positions of the handlers that were asked.
        running: The number of handlers that have not answered yet.
    """

    def __init__(self, operation: TokenOperation) -> None:
        self.operation = operation
        self.asked: set[int] = set()
        self.running = 0


class Verification:
    """Records the verifications of the handlers of one call of the hook.

    Args:
        telemetry: Records the verdicts.

    Attributes:
        handlers: The number of handlers; the code that makes their proxies counts them.
    """

    def __init__(self, telemetry: TokenTelemetry) -> None:
        self.handlers = 0
        self._telemetry = telemetry
        self._attempts: dict[str, _Attempt] = {}

    async def ask(
        self, position: int, name: str, handler: TokenHandlerLike, datasette: TokenHost, token: str
    ) -> Actor | None:
        """Call the `verify_token` of a handler, and record the verdict if it decides.

        Args:
            position: The number of the handler.
            name: The name of the handler.
            handler: The handler.
            datasette: The host.
            token: The token.

        Returns:
            The actor of the handler, with the id of the token; `None` if the token is not the handler's.

        Raises:
            BaseException: The handler's exception.
        """
        attempt = self._attempt(position, token)
        operation = attempt.operation
        entered = operation.enter()
        attempt.running += 1
        try:
            actor = await handler.verify_token(datasette, token)
        except BaseException as error:
            set_failure(operation, name, token, error)
            operation.leave(entered)
            operation.measure()
            self._end(token, attempt)
            raise
        finally:
            attempt.running -= 1
        operation.leave(entered)
        operation.measure()
        if actor is not None:
            actor = note_acceptance(operation, name, token, actor)
            self._end(token, attempt)
        elif len(attempt.asked) >= self.handlers or self._attempts.get(token) is not attempt:
            operation.result = UNRECOGNIZED
            self._end(token, attempt)
        return actor

    def _attempt(self, position: int, token: str) -> _Attempt:
        """Return the attempt that the call of a handler belongs to: the running one for its token, or a new one if the host begins again."""
        attempt = self._attempts.get(token)
        if attempt is not None and position in attempt.asked:
            # The host begins again. If a handler is still running, the host verifies the token twice at the same time: that attempt ends
            # when the handler returns.
            if not attempt.running:
                self._give_up(token, attempt)
            attempt = None
        if attempt is None:
            attempt = self._attempts[token] = _Attempt(self._telemetry.begin(TOKEN_VERIFY))
        attempt.asked.add(position)
        return attempt

    def _give_up(self, token: str, attempt: _Attempt) -> None:
        attempt.operation.result = UNRECOGNIZED
        self._end(token, attempt)

    def _end(self, token: str, attempt: _Attempt) -> None:
        if self._attempts.get(token) is attempt:
            del self._attempts[token]
        self._telemetry.end(attempt.operation)

    def __del__(self) -> None:
        for attempt in self._attempts.values():
            attempt.operation.result = UNRECOGNIZED
            self._telemetry.abandon(attempt.operation)


def note_acceptance(operation: TokenOperation, name: str, token: str, actor: Actor) -> Actor:
    """Note that a handler accepted a token. Return its actor, with the id of the token."""
    known = _plain(actor)
    known_id = known.get(TOKEN_ID_KEY)
    operation.handler, operation.result = name, VALID
    operation.token_id = token_id_of(token, known_id)
    operation.set_user(known.get("id"))
    operation.actor.learn_token_handler(known.get("token"), name)
    if type(actor) is SignedActor and actor.key_number is not None:
        operation.span_attributes[_KEY_NUMBER] = actor.key_number
    if operation.token_id is None or known_id is not None:
        return actor
    known[TOKEN_ID_KEY] = operation.token_id
    return known


def set_failure(operation: TokenOperation, name: str, token: str, error: BaseException) -> None:
    """Note that a handler rejected a token, or failed."""
    operation.handler = name
    operation.set_failure(error)
    if operation.result in _OF_KNOWN_TOKENS:
        operation.token_id = token_id_of(token, getattr_or_none(error, "token_id"))


def token_id_of(token: str, known: object) -> str | None:
    """Return the id by which telemetry names a token that a handler knows, or `None`.

    A signed token has no id of its own. It is a hash of what is signed, never of the text as it was sent: the same signature can be
    written in many ways, and all of them are valid.

    Args:
        token: The token.
        known: The id that the handler has for the token, or `None`.
    """
    if type(known) is str and len(known) <= MAX_TOKEN_ID_LENGTH:
        return known
    if type(known) is int:
        return str(known)
    if not token.startswith(SIGNED_PREFIX):
        return None
    signed = token[len(SIGNED_PREFIX) :].rpartition(".")[0]
    return hashlib.sha256(signed.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_LENGTH]


def _plain(actor: object) -> dict[str, object]:
    """Return a copy of an actor: the handler may keep its own."""
    try:
        # dict first: the check of an abstract class takes several times as long.
        return dict(actor) if isinstance(actor, (dict, Mapping)) else {}
    except program_errors():
        # A mapping's own code may raise anything. The token is valid nevertheless.
        return {}
