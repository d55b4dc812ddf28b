"""Restrictions mean the same in a host and in Datasette."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import datasette.tokens
import hypothesis
import pytest
from datasette.app import Datasette
from datasette.default_permissions.restrictions import restrictions_allow_action
from hypothesis import strategies as st

from heliograph import Host, Settings, SignedTokenHandler, TokenRestrictions, tokens
from heliograph.tokens.actions import CORE_ACTIONS, Action
from heliograph.tokens.restrictions import allows_everywhere, check_restrictions
from tokens.stored.rig import TokenHost


@pytest.fixture(scope="module")
def real():
    """A Datasette with the actions of its core."""
    instance = Datasette(memory=True)
    asyncio.run(instance.invoke_startup())
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def host():
    """A host with the same actions."""
    with Host(Settings()) as host:
        yield host


class HostWithToken(TokenHost):
    """A host with one token in its database."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.token_id = self.run(tokens.issue(self, "alice")).id


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostWithToken]:
    with HostWithToken(tmp_path_factory.mktemp("tokens") / "tokens.db") as host:
        yield host


actions = st.lists(st.sampled_from([*CORE_ACTIONS, "unknown-action", ""]), max_size=3)
by_name = st.dictionaries(st.text(max_size=4), actions, max_size=2)
parts = st.tuples(actions, by_name, st.dictionaries(st.text(max_size=4), by_name, max_size=2))


def test_allow_methods_change_the_object_and_return_it() -> None:
    """Chained calls and separate calls have the same effect, as in Datasette."""
    restrictions = TokenRestrictions()

    assert restrictions.allow_all("view-instance") is restrictions
    assert restrictions.allow_database("one", "create-table") is restrictions
    restrictions.allow_database("one", "create-view")
    restrictions.allow_resource("one", "pages", "insert-row")
    restrictions.allow_resource("one", "users", "delete-row")

    assert restrictions == TokenRestrictions(
        all=["view-instance"],
        database={"one": ["create-table", "create-view"]},
        resource={"one": {"pages": ["insert-row"], "users": ["delete-row"]}},
    )


def test_two_objects_share_no_list_or_dict() -> None:
    """A new object is always empty."""
    TokenRestrictions().allow_all("view-instance").allow_database("one", "create-table")

    assert TokenRestrictions() == TokenRestrictions(all=[], database={}, resource={})


def test_empty_restrictions_have_no_abbreviated_form(real: Datasette) -> None:
    """A token without restrictions has no `_r`."""
    assert TokenRestrictions().abbreviated(Host(Settings())) is None
    assert TokenRestrictions().abbreviated(real) is None


def test_actions_without_an_abbreviation_are_written_by_name() -> None:
    """An action that the host does not know has none either."""

    class HostWithActions:
        actions = {"long-name": Action(name="long-name", abbr="ln"), "plain": Action(name="plain", abbr=None)}

    restrictions = TokenRestrictions().allow_all("long-name").allow_all("plain").allow_all("unknown")

    assert restrictions.abbreviated(HostWithActions()) == {"a": ["ln", "plain", "unknown"]}


@hypothesis.given(parts=parts)
def test_abbreviated_form_is_the_same_in_both_hosts(real: Datasette, host: Host, parts: tuple) -> None:
    """Each class of restrictions gives the same `_r` in each host."""
    ours, theirs = TokenRestrictions(*parts), datasette.tokens.TokenRestrictions(*parts)

    expected = theirs.abbreviated(real)

    assert ours.abbreviated(real) == expected
    assert ours.abbreviated(host) == expected
    assert theirs.abbreviated(host) == expected


@hypothesis.given(parts=parts, action=st.sampled_from([*CORE_ACTIONS, "unknown-action"]))
def test_actions_are_allowed_everywhere_as_in_datasette(real: Datasette, host: Host, parts: tuple, action: str) -> None:
    """Datasette decides the same for the whole instance."""
    form = TokenRestrictions(*parts).abbreviated(real) or {}

    allowed = restrictions_allow_action(real, form, action, None)

    assert allows_everywhere(form, action, host) == allowed
    assert allows_everywhere(None, action, host)


wrong_fields = pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("all", value)
            for value in (None, 1, "view-table", b"view-table", {"view-table": True}, [1], [["view-table"]])
        ),
        *(
            ("database", value)
            for value in (None, ["view-table"], {"data": "view-table"}, {1: ["view-table"]}, {"data": None})
        ),
        *(
            ("resource", value)
            for value in (None, {"data": ["view-table"]}, {"data": {"plants": "view-table"}}, {"data": {1: []}})
        ),
    ],
)


@wrong_fields
def test_restrictions_that_would_allow_something_else_are_an_error(name: str, value: Any) -> None:
    """`None` would restrict nothing, and a text would be actions of one letter each."""
    with pytest.raises(TypeError, match=f"the argument `{name}` must be "):
        check_restrictions(TokenRestrictions(**{name: value}))


@wrong_fields
@pytest.mark.parametrize("restrictions_class", [TokenRestrictions, datasette.tokens.TokenRestrictions])
@pytest.mark.parametrize(
    "use",
    [
        lambda host, wrong: tokens.issue(host, "root", restrictions=wrong),
        lambda host, wrong: tokens.restrict(host, host.token_id, wrong),
        lambda host, wrong: host.create_token("root", restrictions=wrong),
        lambda host, wrong: host.handler.create_token(host, "root", restrictions=wrong),
        lambda host, wrong: SignedTokenHandler().create_token(host, "root", restrictions=wrong),
    ],
    ids=["issue", "restrict", "host", "stored", "signed"],
)
def test_every_way_to_a_token_checks_its_restrictions(
    stored: HostWithToken,
    use: Callable[[HostWithToken, Any], Coroutine[Any, Any, object]],
    restrictions_class: Any,
    name: str,
    value: Any,
) -> None:
    """No token is created, and none changes, whichever class the restrictions are of."""
    before = stored.run(tokens.tokens(stored))

    with pytest.raises(TypeError, match=f"the argument `{name}` must be "):
        stored.run(use(stored, restrictions_class(**{name: value})))

    assert stored.run(tokens.tokens(stored)) == before


@wrong_fields
def test_abbreviated_form_of_a_wrong_field_is_an_error(host: Host, name: str, value: Any) -> None:
    """The handler of a plugin calls the method itself."""
    with pytest.raises(TypeError, match=f"the argument `{name}` must be "):
        TokenRestrictions(**{name: value}).abbreviated(host)


@pytest.mark.parametrize("actions", [[], ["view-table"], ("view-table",), {"view-table"}, {"view-table": 1}.keys()])
def test_actions_may_be_in_any_collection(actions: Any) -> None:
    """A list is what Datasette's class has."""
    check_restrictions(
        TokenRestrictions(all=actions, database={"data": actions}, resource={"data": {"plants": actions}})
    )


@pytest.mark.parametrize("form", ["a", [], {}, {"a": None}, {"a": "view-instance"}, {"a": {"view-instance": 1}}])
def test_restrictions_of_another_form_allow_nothing(host, form) -> None:
    """The actor may come from another plugin. A text contains names of actions, and is no list of them."""
    assert not allows_everywhere(form, "view-instance", host)
