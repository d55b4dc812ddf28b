"""The table of OpenTelemetry's semantic conventions, and what it says of references."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from opentelemetry.semconv._incubating import attributes as incubating
from opentelemetry.semconv.schemas import Schemas

from heliograph.schema import conventions
from heliograph.schema.conventions import Convention, find, is_reserved, problem


def names_of_the_package() -> dict[str, str]:
    """The names that the package has, by the constant."""
    found = {}
    for module in pkgutil.iter_modules(incubating.__path__, f"{incubating.__name__}."):
        found.update(
            (key, value)
            for key, value in vars(importlib.import_module(module.name)).items()
            if key.isupper() and isinstance(value, str)
        )
    return found


def test_table_knows_every_name_of_the_package() -> None:
    """`opentelemetry-semantic-conventions` has the names, and comes with the SDK; templates have a key below them."""
    names = names_of_the_package()

    unknown = {
        name
        for constant, name in names.items()
        if find(name) is None and not (constant.endswith("_TEMPLATE") and find(f"{name}.key"))
    }

    assert len(names) > 500
    assert unknown == set()


def test_table_is_as_new_as_the_package() -> None:
    """No version of the package that is installed knows more."""
    newest = max(tuple(map(int, schema.name.removeprefix("V").split("_"))) for schema in Schemas)

    assert newest <= tuple(map(int, conventions.version().split(".")))


@pytest.mark.parametrize(
    ("name", "kind", "members"),
    [
        ("db.namespace", "string", ()),
        ("http.response.status_code", "int", ()),
        ("user.roles", "string[]", ()),
        ("http.request.header.accept", "string[]", ()),
        ("geo.location.lat", "double", ()),
        ("log.iostream", "string", ("stdout", "stderr")),
    ],
)
def test_attribute_has_its_type(name: str, kind: str, members: tuple[str, ...]) -> None:
    """Scalars, arrays, templates below which each key is one, and enums."""
    convention = find(name)

    assert isinstance(convention, Convention)
    assert (convention.type, convention.members) == (kind, members)


def test_deprecated_attribute_says_what_took_its_place() -> None:
    """To refer to it is no problem."""
    convention = find("db.name")

    assert convention is not None
    assert (convention.deprecated, convention.renamed_to) == ("renamed", "db.namespace")
    assert problem("db.name", "string") is None


@pytest.mark.parametrize("name", ["shop.total", "forum.thread.id", "app.tenant.id", "message.length"])
def test_other_names_are_free(name: str) -> None:
    """Whatever their type."""
    assert not is_reserved(name)
    assert problem(name, "any") is None


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("db.namspace", "string", "take 'db.namespace'"),
        ("user.nmae", "string", "'user.name'"),
        ("http.nothing.like.it", "string", "have 'http' for themselves"),
        ("http.response.status_code", "string", "is int, not string; annotate the field as `int`"),
        ("http.request.header", "string[]", "name a key of it, such as 'http.request.header.key'"),
        ("user.roles", "string", "annotate the field as `list[str]`"),
        ("db.namespace", "any", "annotate the field as `str`"),
    ],
)
def test_wrong_reference_is_told_with_the_mend(name: str, kind: str, said: str) -> None:
    """Names that look like it, or the type that it has."""
    assert said in (problem(name, kind) or "")


def test_names_below_the_event_are_its_own() -> None:
    """An event may be called as a namespace of the conventions is."""
    assert problem("db.migrated.anything", "any", event_name="db.migrated") is None
    assert problem("db.migrated", "any", event_name="db.migrated") is None
    assert problem("db.other", "any", event_name="db.migrated") is not None


def test_each_name_and_type_of_the_table_fits_itself() -> None:
    """Every attribute can be referred to with the type that it has."""
    attributes = conventions._registry().attributes

    assert len({each.name for each in attributes}) == len(attributes) > 500
    assert [each.name for each in attributes if problem(each.name, each.type) is not None] == []
