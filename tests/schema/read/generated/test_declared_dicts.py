"""Dicts with declared keys: a key that is no text is found before it is compared, and the order of the keys is kept."""

from __future__ import annotations

from heliograph.schema.read.generated.declared_dicts import in_order, keyed


class Key:
    """A key whose comparison is code of the program."""

    def __hash__(self) -> int:
        return hash("size")

    def __eq__(self, other: object) -> bool:
        raise LookupError


class Text(str):  # noqa: SLOT000 — as somebody writes it
    """A text that may have code of its own."""


def test_copy_has_texts_as_keys() -> None:
    """The copy is another dict: the program may change the first one in another thread."""
    value: dict[object, object] = {"size": 1, "color": None}
    copy = keyed(value)

    assert copy == value
    assert copy is not value


def test_dict_with_another_key_is_left_alone() -> None:
    """No code of a key is run."""
    assert keyed({Key(): 1}) is None
    assert keyed({"size": 1, Text("color"): 2}) is None
    assert keyed({"size": 1, 2: 2}) is None


def test_forms_are_in_the_order_of_the_dict() -> None:
    """A key whose value has no form is left out, and so is a form without its key."""
    assert list(in_order({"b": 0, "a": 0, "c": 0}, {"a": 1, "b": 2, "d": 3}).items()) == [("b", 2), ("a", 1)]
