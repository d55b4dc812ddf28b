"""The names on the wire are strings that carry their documentation, also when they are copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from heliograph import semconv
from heliograph.semconv import AttributeName, MetricName, Name

NAMES = [value for value in vars(semconv).values() if isinstance(value, Name)]


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_every_name_is_documented_by_whole_sentences(name: Name) -> None:
    """The documentation of every name begins with a capital letter or a code name, and ends with a full stop."""
    assert name.brief[0].isupper() or name.brief[0] == "`"
    assert name.brief.endswith(".")


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_every_name_is_valid(name: Name) -> None:
    """Every name follows the naming rules of OpenTelemetry, below a namespace."""
    assert semconv.has_namespace(name)


def test_no_constant_is_declared_twice() -> None:
    """Two names of one kind have two texts. An attribute and a metric may have the same one."""
    assert len({(type(name), str(name)) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda name: pickle.loads(pickle.dumps(name))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copy_of_a_name_has_its_documentation(copied: Callable[[Name], Name]) -> None:
    """Names can be copied and pickled, because exporters copy attributes."""
    attribute = copied(AttributeName("app.color", "The color."))
    metric = copied(MetricName("app.duration", "The duration.", "s"))

    assert (attribute, type(attribute), attribute.brief) == ("app.color", AttributeName, "The color.")
    assert (metric, type(metric), metric.brief) == ("app.duration", MetricName, "The duration.")
    assert isinstance(metric, MetricName)
    assert metric.unit == "s"


@pytest.mark.parametrize("name", ["app.order", "app.order_placed", "a.b", "db2.x9.y_z"])
def test_name_with_a_namespace(name: str) -> None:
    """An event name consists of lower-case words, joined by dots and underscores."""
    assert semconv.has_namespace(name)


@pytest.mark.parametrize(
    "name", ["order", "App.order", "app.", ".order", "app..order", "app.order-x", "app.o\n", "", None, 7], ids=repr
)
def test_name_without_a_namespace_or_with_other_characters(name: object) -> None:
    """Any object can be checked, and anything but such a name is rejected."""
    assert not semconv.has_namespace(name)


@pytest.mark.parametrize(
    ("key", "name"), [("id", "user.id"), ("full_name", "user.full_name"), ("team", "heliograph.actor.team")]
)
def test_attribute_of_an_actors_key(key: str, name: str) -> None:
    """A key that the semantic conventions do not name is below `heliograph.actor`."""
    assert semconv.actor_attribute(key) == name


def test_secrets_of_an_actor_have_no_attribute() -> None:
    """The table of attributes gives none of the secret keys a name under which it could be exported."""
    assert not semconv.ACTOR_SECRETS & set(semconv.ACTOR_ATTRIBUTES)
