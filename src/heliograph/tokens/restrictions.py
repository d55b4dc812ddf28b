"""Restrictions: the actions that a token allows."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from heliograph.arguments import wrong_argument

if TYPE_CHECKING:
    from typing_extensions import Self

Abbreviated: TypeAlias = dict[str, object]


class ActionLike(Protocol):
    """An action as a host or Datasette registers it."""

    @property
    def abbr(self) -> str | None:
        """The abbreviation of the action in a token, or `None`."""


class HasActions(Protocol):
    """A host with a mapping of actions."""

    @property
    def actions(self) -> Mapping[str, ActionLike]:
        """The actions, by name."""


@dataclass
class TokenRestrictions:
    """The actions that a token allows. Empty restrictions allow everything that the actor of the token may do.

    The methods ``allow_…`` change the object and return it, so that calls can be chained, as with Datasette's class:

    >>> TokenRestrictions().allow_all("view-instance").allow_resource("mydb", "mytable", "insert-row")
    TokenRestrictions(all=['view-instance'], database={}, resource={'mydb': {'mytable': ['insert-row']}})

    Attributes:
        all: The actions allowed everywhere.
        database: The actions allowed in each database, by its name.
        resource: The actions allowed on each table or query, by the name of its database and its own name.
    """

    all: list[str] = dataclasses.field(default_factory=list)
    database: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    resource: dict[str, dict[str, list[str]]] = dataclasses.field(default_factory=dict)

    def allow_all(self, action: str) -> Self:
        """Allow an action everywhere."""
        self.all.append(action)
        return self

    def allow_database(self, database: str, action: str) -> Self:
        """Allow an action in a database."""
        self.database.setdefault(database, []).append(action)
        return self

    def allow_resource(self, database: str, resource: str, action: str) -> Self:
        """Allow an action on one table or query."""
        self.resource.setdefault(database, {}).setdefault(resource, []).append(action)
        return self

    def abbreviated(self, datasette: HasActions) -> Abbreviated | None:
        """Return the compact form that tokens and actors have under ``_r``, or `None` if nothing is restricted.

        Args:
            datasette: The host whose actions have the abbreviations. An action without one is written by its name.

        Raises:
            TypeError: A field has a value of another type than the class declares.
        """
        # Here, because every way to create or restrict a token calls this, also in a handler of a plugin.
        check_restrictions(self)

        def short(actions: Iterable[str]) -> list[str]:
            return [_abbreviation(datasette.actions.get(action)) or action for action in actions]

        form: Abbreviated = {}
        if self.all:
            form["a"] = short(self.all)
        if self.database:
            form["d"] = {database: short(actions) for database, actions in self.database.items()}
        if self.resource:
            form["r"] = {
                database: {resource: short(actions) for resource, actions in resources.items()}
                for database, resources in self.resource.items()
                # Datasette omits a database without resources, too.
                if resources
            }
        return form or None


def compact_form(restrictions: TokenRestrictions, datasette: HasActions) -> Abbreviated | None:
    """Return the compact form of restrictions, which may be of Datasette's class; see `TokenRestrictions.abbreviated`.

    Raises:
        TypeError: A field has a value of another type than the class declares.
    """
    # The method of Datasette's class, which has the same fields, checks nothing.
    check_restrictions(restrictions)
    return restrictions.abbreviated(datasette)


def check_restrictions(restrictions: TokenRestrictions) -> None:
    """Raise `TypeError` for a value by which a token would allow something else than its author meant.

    ``TokenRestrictions(all=None)`` would restrict nothing, and ``all="view-table"`` would allow ten actions of one letter each.
    """
    # As `Any`, because mypy believes that every value has the declared type.
    given: Any = restrictions
    for name, is_right, wanted in (
        ("all", _is_actions, 'a list of actions, such as ["view-table"]'),
        ("database", _is_actions_by_name, 'lists of actions by database, such as {"data": ["view-table"]}'),
        ("resource", _is_actions_by_names, 'such as {"data": {"plants": ["view-table"]}}'),
    ):
        value = getattr(given, name)
        if not is_right(value):
            raise wrong_argument(name, value, wanted)


def _is_actions(value: object) -> bool:
    if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)):
        return False
    return all(isinstance(each, str) for each in value)


def _is_actions_by_name(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and _is_actions(each) for key, each in value.items())


def _is_actions_by_names(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and _is_actions_by_name(each) for key, each in value.items()
    )


def _abbreviation(action: ActionLike | None) -> str | None:
    return None if action is None else action.abbr


def allows_everywhere(form: object, action: str, datasette: HasActions) -> bool:
    """Return True if restrictions allow an action without limiting it to a database, a table or a query.

    Args:
        form: The value of an actor's key ``_r``, in the compact form of `TokenRestrictions.abbreviated`; `None` allows everything. A value
            of another form allows nothing.
        action: The name of the action. A program may have actions of its own.
        datasette: The host whose actions have the abbreviations.
    """
    if form is None:
        return True
    allowed = form.get("a") if isinstance(form, Mapping) else None
    if not isinstance(allowed, (list, tuple)):
        return False
    abbreviation = _abbreviation(datasette.actions.get(action))
    return action in allowed or (abbreviation is not None and abbreviation in allowed)


def is_narrower(new: Mapping[str, object] | None, old: Mapping[str, object] | None) -> bool:
    """Return True if restrictions allow nothing that the old ones do not allow.

    Args:
        new: Restrictions in the compact form of `TokenRestrictions.abbreviated`; `None` allows everything.
        old: The restrictions that the token has now, in the same form.
    """
    if old is None:
        return True
    if new is None:
        return False
    return all(_allows(old, *grant) for grant in _grants(new))


def _grants(form: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield each action with the database and the table or query that it is allowed for; `None` is every one."""
    yield from ((action, None, None) for action in form.get("a", ()))
    for database, actions in form.get("d", {}).items():
        yield from ((action, database, None) for action in actions)
    for database, resources in form.get("r", {}).items():
        for resource, actions in resources.items():
            yield from ((action, database, resource) for action in actions)


def _allows(form: Mapping[str, Any], action: str, database: str | None, resource: str | None) -> bool:
    return (
        action in form.get("a", ())
        or action in form.get("d", {}).get(database, ())
        or action in form.get("r", {}).get(database, {}).get(resource, ())
    )
