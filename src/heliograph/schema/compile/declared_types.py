"""Check the types of what authors of event classes declare, because Python does not check the arguments of `Attribute` and `Event`.

It is done when a schema is compiled, and not when the declaration is made: all problems of a class are one error, and in Datasette one
warning, where an error in the import of a plugin would end the program.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

from heliograph.events import Attribute, Deprecated, EventOptions, Privacy

_TEXTS: Final = ("name", "brief", "note", "requirement", "unit")


def attribute_problems(declared: Attribute, field: str) -> Iterator[str]:
    """Yield a sentence for each argument of an `Attribute` that has a wrong type.

    Args:
        declared: The declaration.
        field: The name of the field that it is about.
    """
    # As `Any`, because mypy believes that every value has the declared type.
    given: Any = declared
    for name in _TEXTS:
        value = getattr(given, name)
        if value is not None and not isinstance(value, str):
            yield f"the {name} of {field!r} is {value!r}; write it as text"
    if not isinstance(given.examples, (tuple, list)):
        yield f"the examples of {field!r} are {given.examples!r}; write a list: examples=[…]"
    if given.privacy is not None and not isinstance(given.privacy, Privacy):
        yield f"the privacy of {field!r} is {given.privacy!r}; use one of Privacy"
    if given.deprecated is not None:
        yield from (f"the attribute of {field!r}: {problem}" for problem in deprecation_problems(given.deprecated))


def deprecation_problems(deprecated: object) -> Iterator[str]:
    """Yield a sentence for each mistake in the argument ``deprecated`` of a class or an attribute."""
    given: Any = deprecated
    if not isinstance(deprecated, Deprecated):
        yield f'its deprecated is {deprecated!r}; write Deprecated(renamed_to="…", note="…")'
        return
    for name in ("renamed_to", "note"):
        value = getattr(given, name)
        if value is not None and not isinstance(value, str):
            yield f"the {name} of its deprecated is {value!r}; write it as text"
    if not isinstance(given.emit_both, bool):
        yield f"the emit_both of its deprecated is {given.emit_both!r}; write True or False"
    elif given.emit_both and given.renamed_to is None:
        yield "emit_both needs a second name; write it in renamed_to"


def upcaster_problems(options: EventOptions) -> Iterator[str]:
    """Yield a sentence for each upcaster that no event could be replayed with."""
    upcasters: dict[Any, Any] = dict(options.upcasters)
    for version, upcaster in upcasters.items():
        if not isinstance(version, str):
            yield f'it has an upcaster from version {version!r}; write it as text, such as from_version="1"'
        if not callable(upcaster) or inspect.iscoroutinefunction(upcaster):
            yield f"its upcaster from version {version!r} is {upcaster!r}; write a sync function of the properties"
