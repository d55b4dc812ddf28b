"""The page on which people manage the tokens that a Datasette keeps in a database: ``/-/heliograph/tokens``.

An actor manages their own tokens. With the permission `heliograph-manage-all-tokens`, an actor sees, revokes and restricts the tokens
of everybody. Nobody can create or rotate a token of somebody else, because the new secret would let them act in that person's name.

A request that was made with a token may only list and revoke tokens. Otherwise somebody who finds a token could create another one with it,
which is valid after the first was revoked.

A new token is only in the response to the form. It cannot be shown again, because only its hash is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from datasette.permissions import Action
from datasette.utils.asgi import Forbidden, NotFound, Response

from heliograph import tokens
from heliograph.errors import TokenInvalid, TokenNotFound
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.integrations.datasette.page.navigation import TOKENS_PATH, pages_for
from heliograph.telemetry.actor_attributes import TOKEN_ID_KEY
from heliograph.tokens import IssuedToken, Token
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.stored.handler import DatabaseTokenHandler
from heliograph.tokens.stored.record import stored_facts

if TYPE_CHECKING:
    from datasette.app import Datasette
    from datasette.utils.asgi import Request

MANAGE_ALL: Final = "heliograph-manage-all-tokens"
MANAGE_ALL_ACTION: Final = Action(
    name=MANAGE_ALL, description="View, revoke and restrict the tokens of all actors that are kept in a database"
)
PRIVATE: Final = {"Cache-Control": "private, no-store"}
"""The headers of pages that are for one person."""

MAX_TOKENS: Final = 500
"""The number of tokens that the page lists. The newest are listed; `heliograph token list` lists all."""
MAX_LABEL: Final = 200
"""The largest number of characters of a label."""

_UNITS: Final = {"minutes": 60, "hours": 60 * 60, "days": 24 * 60 * 60}
_NUMBER: Final = re.compile("[1-9][0-9]{0,8}")


class _Mistake(Exception):
    """A form has a value that cannot be used. The message is shown on the page."""


@dataclass(frozen=True, kw_only=True)
class Manager:
    """The actor of a request to the page.

    Attributes:
        actor_id: The actor's id.
        manages_all: True if the actor may see, revoke and restrict the tokens of everybody.
        uses_token: True if the request was made with a token, or the actor is restricted.
    """

    actor_id: str
    manages_all: bool
    uses_token: bool

    def check_creates(self) -> None:
        """Raise `Forbidden` if the actor may not get new secrets."""
        if self.uses_token:
            raise Forbidden("With a token, tokens can be listed and revoked, and nothing else.")


async def tokens_page(datasette: Datasette, request: Request) -> Response:
    """Return the page. With POST, first do the operation in the form's field ``do``: create, revoke, rotate or restrict.

    Raises:
        Forbidden: Nobody is signed in, or the actor may not do it.
        NotFound: This Datasette keeps no tokens in a database.
    """
    manager = await _manager(datasette, request)
    issued: IssuedToken | None = None
    mistake = ""
    if request.method == "POST":
        form = await request.form()
        fields = {name: str(form[name]) for name in form}
        try:
            issued = await _do(datasette, manager, fields, [str(each) for each in form.getlist("allow")])
        except (_Mistake, ValueError, TokenInvalid) as error:
            mistake = str(error)
    context = {
        "tokens": await _listed(datasette, manager),
        "manager": manager,
        "issued": issued,
        "mistake": mistake,
        "max_tokens": MAX_TOKENS,
        "max_label": MAX_LABEL,
        "actions": sorted(datasette.actions),
        "units": list(_UNITS),
        "path": datasette.urls.path(TOKENS_PATH),
        "pages": await pages_for(datasette, request.actor),
    }
    html = await datasette.render_template("heliograph_tokens.html", context, request=request, view_name="heliograph")
    return Response.html(html, headers=PRIVATE, status=400 if mistake else 200)


async def tokens_json(datasette: Datasette, request: Request) -> Response:
    """Return the tokens that the page lists, as JSON.

    Raises:
        Forbidden: Nobody is signed in.
        NotFound: This Datasette keeps no tokens in a database.
    """
    listed = await _listed(datasette, await _manager(datasette, request))
    return Response.json({"tokens": listed}, headers=PRIVATE)


def _handler(datasette: Datasette) -> DatabaseTokenHandler:
    """Return the handler of the tokens.

    Raises:
        NotFound: This Datasette keeps no tokens in a database.
    """
    handler = state_of(datasette).database_tokens
    if handler is None:
        raise NotFound(
            "This Datasette keeps no tokens in a database. HELIOGRAPH_TOKEN_HANDLERS=database switches them on."
        )
    return handler


async def _manager(datasette: Datasette, request: Request) -> Manager:
    _handler(datasette)
    actor: Mapping[str, Any] = request.actor or {}
    if actor.get("id") is None:
        raise Forbidden("Sign in to manage your tokens.")
    return Manager(
        actor_id=str(actor["id"]),
        manages_all=await datasette.allowed(action=MANAGE_ALL, actor=request.actor),
        uses_token=_has_bearer(request) or bool(actor.get("token")) or TOKEN_ID_KEY in actor or "_r" in actor,
    )


def _has_bearer(request: Request) -> bool:
    """Return True if a request has a bearer token. An actor that a plugin's handler returns may not show it."""
    header: str = request.headers.get("authorization") or ""
    return header.lower().startswith("bearer")


async def _listed(datasette: Datasette, manager: Manager) -> list[dict[str, Any]]:
    actor_id = None if manager.manages_all else manager.actor_id
    found = await _handler(datasette).store.find_all(actor_id, limit=MAX_TOKENS)
    return [_to_dict(datasette, manager, token) for token in found]


def _to_dict(datasette: Datasette, manager: Manager, token: Token) -> dict[str, Any]:
    return {
        **stored_facts(token),
        "state": tokens.state_of(datasette, token),
        "allows": list(_allowed(datasette, token.restrictions or {})),
        "is_own": token.actor_id == manager.actor_id,
    }


def _allowed(datasette: Datasette, restrictions: Mapping[str, Any]) -> Iterator[str]:
    """Yield the actions that a token allows, in words."""
    names = {action.abbr: name for name, action in datasette.actions.items() if action.abbr}
    yield from (names.get(each, each) for each in restrictions.get("a", ()))
    for database, actions in restrictions.get("d", {}).items():
        yield from (f"{names.get(each, each)} in {database}" for each in actions)
    for database, resources in restrictions.get("r", {}).items():
        for resource, actions in resources.items():
            yield from (f"{names.get(each, each)} in {database}/{resource}" for each in actions)


async def _do(
    datasette: Datasette, manager: Manager, fields: Mapping[str, str], allowed: list[str]
) -> IssuedToken | None:
    """Do the operation that a form asks for. Return the new token, if there is one.

    Raises:
        Forbidden: The actor may not do it.
        TokenInvalid: The token is revoked or expired, and cannot be rotated.
        ValueError: A value cannot be used.
        _Mistake: A value cannot be used, or there is no such token.
    """
    if unknown := sorted(set(allowed) - set(datasette.actions)):
        raise _Mistake(f"There is no action {unknown[0]!r}.")
    match fields.get("do"):
        case "create":
            return await _create(datasette, manager, fields, allowed)
        case "revoke":
            await tokens.revoke(datasette, (await _token(datasette, manager, fields)).id)
        case "rotate":
            manager.check_creates()
            token = await _token(datasette, manager, fields)
            if token.actor_id != manager.actor_id:
                raise Forbidden("Only the actor of a token can rotate it.")
            return await tokens.rotate(datasette, token.id, grace=_seconds(fields) or 0)
        case "restrict":
            manager.check_creates()
            if not allowed:
                raise _Mistake("Choose the actions that the token still allows.")
            token = await _token(datasette, manager, fields)
            await tokens.restrict(datasette, token.id, TokenRestrictions(all=allowed))
        case _:
            raise _Mistake("The form names nothing to do.")
    return None


async def _create(datasette: Datasette, manager: Manager, fields: Mapping[str, str], allowed: list[str]) -> IssuedToken:
    manager.check_creates()
    label = fields.get("label", "").strip()
    if len(label) > MAX_LABEL:
        raise _Mistake(f"A label has at most {MAX_LABEL} characters.")
    return await tokens.issue(
        datasette,
        manager.actor_id,
        label=label or None,
        expires_after=_seconds(fields),
        restrictions=TokenRestrictions(all=allowed) if allowed else None,
    )


async def _token(datasette: Datasette, manager: Manager, fields: Mapping[str, str]) -> Token:
    """Return the token that a form names.

    Raises:
        _Mistake: There is no such token, or the actor may not see it, which is not distinguished.
    """
    try:
        token = await tokens.get(datasette, fields.get("id", ""))
    except TokenNotFound:
        token = None
    if token is None or not (manager.manages_all or token.actor_id == manager.actor_id):
        raise _Mistake("There is no such token.")
    return token


def _seconds(fields: Mapping[str, str]) -> int | None:
    """Return the time that a form has as a number and a unit; `None` if the number is empty.

    Raises:
        _Mistake: They are not a valid time.
    """
    number, unit = fields.get("number", "").strip(), fields.get("unit", "days")
    if not number:
        return None
    if not _NUMBER.fullmatch(number) or unit not in _UNITS:
        raise _Mistake("The time is a whole number of minutes, hours or days, 1 at least.")
    return int(number) * _UNITS[unit]
