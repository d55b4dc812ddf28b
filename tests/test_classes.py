"""Facts about classes are read without code of their metaclass."""

from __future__ import annotations

from typing import Any

from heliograph.classes import ancestors, class_dict, module_name, qualified_name, qualname


class Hostile(type):
    """A metaclass whose classes answer no question."""

    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(f"{name} was asked for")


class Base:
    """A class whose attributes are those of its heirs, too."""

    inherited = 1


class Closed(Base, metaclass=Hostile):
    """A class that shows nothing."""

    own = 2


def test_facts_of_a_class_are_read_without_its_metaclass() -> None:
    """Only attributes of its own are in its dict."""
    assert ancestors(Closed) == (Closed, Base, object)
    assert class_dict(Closed)["own"] == 2
    assert "inherited" not in class_dict(Closed)
    assert (module_name(Closed), qualname(Closed)) == (__name__, "Closed")


def test_module_may_be_anything() -> None:
    """A class may replace the name of its module, as any other attribute."""
    assert module_name(type("Odd", (), {"__module__": 1})) == "?"


def test_qualified_name_of_a_class_and_of_an_object() -> None:
    """`qualified_name` returns the name of a class, and for an object the name of its class."""
    assert qualified_name(int) == qualified_name(7) == "builtins.int"
