"""The table of OpenTelemetry's semantic conventions, and the check of references to it."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from opentelemetry.semconv._incubating import attributes as incubating
from opentelemetry.semconv.schemas import Schemas

from heliograph.schema import conventions
from heliograph.schema.conventions import Convention, find, is_reserved, problem


def names_of_the_package() -> dict[str, str]:
    """Return the names in `opentelemetry-semantic-conventions`, by constant."""
    found = {}
    for module in pkgutil.iter_modules(incubating.__path__, f"{incubating.__name__}."):
        found.update(
            (key, value)
            for key, value in vars(importlib.import_module(module.name)).items()
            if key.isupper() and isinstance(value, str)
        )
    return found


def test_table_knows_every_name_of_the_package() -> None:
    """The package comes with the SDK. Its templates are prefixes, so that a key below them is looked up."""
    names = names_of_the_package()

    unknown = {
        name
        for constant, name in names.items()
        if find(name) is None and not (constant.endswith("_TEMPLATE") and find(f"{name}.key"))
    }

    assert len(names) > 500
    assert unknown == set()


def test_table_is_as_new_as_the_package() -> None:
    """The installed package knows no newer version."""
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
    """A type is a scalar, an array, an enum, or the type of the keys below a template."""
    convention = find(name)

    assert isinstance(convention, Convention)
    assert (convention.type, convention.members) == (kind, members)


def test_a_deprecated_attribute_has_its_new_name() -> None:
    """A reference to the deprecated name is no problem."""
    convention = find("db.name")

    assert convention is not None
    assert (convention.deprecated, convention.renamed_to) == ("renamed", "db.namespace")
    assert problem("db.name", "string") is None


@pytest.mark.parametrize("name", ["shop.total", "forum.thread.id", "app.tenant.id", "message.length"])
def test_other_names_are_free(name: str) -> None:
    """A name that the conventions do not reserve may have any type."""
    assert not is_reserved(name)
    assert problem(name, "any") is None


def test_in_a_shared_namespace_only_names_of_the_conventions_are_reserved() -> None:
    """`app` is the default namespace of events. Its second part decides."""
    assert is_reserved("app.screen.size")
    assert not is_reserved("app.tenant.id")


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("db.namspace", "string", "use 'db.namespace'"),
        ("user.nmae", "string", "'user.name'"),
        ("http.nothing.like.it", "string", "the namespace 'http' is reserved for them; choose a name outside of it"),
        (
            "http.response.status_code",
            "string",
            "as int, not string; annotate the field as `int`, or choose another name",
        ),
        ("http.request.header", "string[]", "use a key below it, such as 'http.request.header.key'"),
        ("user.roles", "string", "annotate the field as `list[str]`"),
        ("http.request.header", "string", "annotate the field as `dict[str, list[str]]`, or choose"),
        ("db.namespace", "any", "annotate the field as `str`"),
    ],
)
def test_a_wrong_reference_is_reported_with_the_fix(name: str, kind: str, message: str) -> None:
    """The message has similar names, or the right type."""
    assert message in (problem(name, kind) or "")


def test_names_below_the_event_are_its_own() -> None:
    """An event may have the name of a namespace of the conventions."""
    assert problem("db.migrated.anything", "any", event_name="db.migrated") is None
    assert problem("db.migrated", "any", event_name="db.migrated") is None
    assert problem("db.other", "any", event_name="db.migrated") is not None


def test_each_name_and_type_of_the_table_fits_itself() -> None:
    """Every attribute may be referred to with its own type."""
    attributes = conventions._table().attributes

    assert len({each.name for each in attributes}) == len(attributes) > 500
    assert [each.name for each in attributes if problem(each.name, each.type) is not None] == []


@pytest.mark.parametrize(
    ("name", "is_attribute"),
    [
        ("http.request.header.accept", True),
        ("http.request.header.", False),
        ("http.request.headers", False),
        ("http.request.header", True),
        ("db.namespace.key", False),
    ],
)
def test_only_a_key_below_a_template_is_an_attribute(name: str, is_attribute: bool) -> None:
    """An empty key is none, and neither is a name that only begins with the same text."""
    assert (find(name) is not None) is is_attribute


@pytest.mark.parametrize(
    ("name", "kind", "is_accepted"),
    [
        ("geo.location.lat", "double", True),
        ("geo.location.lat", "int", False),
        ("http.response.status_code", "any", False),
        ("http.request.header", "any", True),
        ("http.request.header.accept", "any", False),
    ],
)
def test_the_type_must_be_the_same(name: str, kind: str, is_accepted: bool) -> None:
    """An int is not accepted as a double. A dict with open keys is accepted as a template."""
    assert (problem(name, kind) is None) is is_accepted


def test_suggestions_are_few_and_current() -> None:
    """At most three names are suggested, none of them deprecated; for a namespace, names below it; for an old name, its new one."""
    below = problem("http.request", "string") or ""
    renamed = problem("db.naem", "string") or ""

    assert below.count("'http.request.") == 3
    assert "'db.namespace'" in renamed
    assert "'db.name'" not in renamed
    assert "use 'url.domain' or 'url.extension' or 'url.fragment', or choose" in (problem("url", "string") or "")
    assert "reserved for them; choose" in (problem("db.connection_stringx", "string") or "")
    assert "'http.request.header.<key>'" in (problem("http.request.headr", "string") or "")


def test_a_message_suggests_a_name_below_the_event() -> None:
    """The suggestion is made if the name of the event is known."""
    message = problem("db.cost", "int", event_name="shop.sale") or ""

    assert "choose a name outside of it, such as 'shop.sale.cost'" in message
