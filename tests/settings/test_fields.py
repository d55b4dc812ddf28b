"""A field of the settings keeps its parser, and hides a secret."""

from __future__ import annotations

import dataclasses

from heliograph.settings.fields import setting


def parse(value: object) -> object:
    return value


@dataclasses.dataclass
class Fields:
    plain: str = setting("a", parse)
    hidden: str = setting("b", parse, in_datasette="the option `--secret`", secret=True)
    mapping: dict[str, object] = setting({}, parse)
    hidden_mapping: dict[str, object] = setting({}, parse, secret=True)


def test_default_is_that_of_the_field() -> None:
    """Two objects do not share a mapping."""
    one, other = Fields(), Fields()

    assert (one.plain, one.hidden, one.mapping) == ("a", "b", {})
    assert one.mapping is not other.mapping


def test_secret_is_not_shown() -> None:
    assert repr(Fields(hidden="SECRET", hidden_mapping={"password": "SECRET"})).endswith(
        "Fields(plain='a', mapping={})"
    )


def test_facts_about_a_field_are_kept() -> None:
    """Those who read settings find the parser, and Datasette's own setting for the same purpose."""
    found = {each.name: dict(each.metadata) for each in dataclasses.fields(Fields)}

    assert found["plain"] == {"parse": parse, "in_datasette": "", "secret": False}
    assert found["hidden"] == {"parse": parse, "in_datasette": "the option `--secret`", "secret": True}
