"""OpenTelemetry's semantic conventions: the attributes that have a name and a type for everybody.

An event class that refers to one of them (``Attribute("db.namespace")``) is held to it when it is registered: without
network, and without the package ``opentelemetry-semantic-conventions``, which has the names and not the types. The table
is ``conventions.json``, written by ``docs/conventions.py`` and read when it is first asked.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from dataclasses import dataclass
from importlib import resources
from typing import Final

import msgspec

from heliograph.events import Stability

_SHARED_ROOTS: Final = frozenset({"app"})
"""Roots that programs have for their own names too: `app` is where heliograph puts the events of a program that names no
namespace, and the conventions have a few names there. Of these roots the second part counts: ``app.screen`` is reserved,
``app.tenant`` is not."""

_MAX_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class Convention:
    """An attribute of the semantic conventions.

    Attributes:
        name: Its name.
        type: ``"string"``, ``"int"``, ``"double"``, ``"boolean"``, an array of one such as ``"string[]"``, ``"any"``, or
            ``"template[...]"`` around one of these where each key below the name is an attribute of that type. Of an
            enum it is the type of its members.
        members: The values of an enum that have a meaning for everybody; others are allowed. Empty where it is none.
        stability: How firm it is.
        deprecated: Why it is deprecated: ``"renamed"``, ``"obsoleted"`` or ``"uncategorized"``; `None` where it is not.
        renamed_to: The name that took its place, if one did.
    """

    name: str
    type: str
    members: tuple[str | int, ...] = ()
    stability: Stability = "development"
    deprecated: str | None = None
    renamed_to: str | None = None


def version() -> str:
    """The version of the semantic conventions that names are checked against: ``"1.44.0"``."""
    return _registry().version


def find(name: str) -> Convention | None:
    """The attribute of that name, deprecated or not; `None` where the conventions have none.

    Below a template, each key is an attribute:

    >>> find("http.request.header.accept")
    Convention(name='http.request.header.accept', type='string[]', members=(), stability='stable', deprecated=None, renamed_to=None)
    """
    registry = _registry()
    return registry.by_name.get(name) or registry.keyed(name)


def is_reserved(name: str) -> bool:
    """Whether the name, or namespace, is below one that the semantic conventions have for themselves.

    A name that they no longer use is not reserved: all of `message` is deprecated, `gen_ai` has moved to conventions of
    its own. `app` is shared with them, and only what they have below it is reserved.

    >>> is_reserved("db.anything"), is_reserved("session"), is_reserved("app.screen.size")
    (True, True, True)
    >>> is_reserved("app.tenant.id"), is_reserved("message.length"), is_reserved("forum.thread")
    (False, False, False)
    """
    return _namespace(name) in _registry().namespaces


def problem(name: str, attribute_type: str, *, event_name: str | None = None) -> str | None:
    """What is wrong with a reference to an attribute, and the mend, in one sentence; `None` where nothing is.

    To refer to a deprecated attribute is no problem; see `find` for what it is called now. A dict whose keys become
    attributes that are known by name (``user`` with ``id`` and ``name``) is checked by these, not by what it is called.

    Args:
        name: The attribute's name.
        attribute_type: The type that it has in the event, as in `Convention.type`; ``"any"`` for whatever is not of one
            type, such as a dict with open keys.
        event_name: The event's own name; what is below it is never a reference.

    >>> problem("db.namespace", "string")
    >>> problem("http.response.status_code", "string")
    "the semantic conventions say that 'http.response.status_code' is int, not string; annotate the field as `int`, or choose a name of your own"
    """
    if event_name is not None and f"{name}.".startswith(f"{event_name}."):
        return None
    convention = find(name)
    if convention is None:
        return _unknown(name, event_name) if is_reserved(name) else None
    return None if _fits(attribute_type, convention.type) else _misfit(convention, attribute_type)


@dataclass(frozen=True, kw_only=True)
class _Registry:
    version: str
    attributes: tuple[Convention, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Convention]:
        return {each.name: each for each in self.attributes}

    @functools.cached_property
    def templates(self) -> tuple[Convention, ...]:
        return tuple(each for each in self.attributes if each.type.startswith("template["))

    @functools.cached_property
    def namespaces(self) -> frozenset[str]:
        return frozenset(_namespace(each.name) for each in self.attributes if each.deprecated is None)

    def keyed(self, name: str) -> Convention | None:
        """The attribute that a key below a template is."""
        for each in self.templates:
            if name.startswith(f"{each.name}.") and name != f"{each.name}.":
                return dataclasses.replace(each, name=name, type=_of_keys(each.type))
        return None


@functools.cache
def _registry() -> _Registry:
    content = resources.files("heliograph.schema").joinpath("conventions.json").read_bytes()
    return msgspec.json.decode(content, type=_Registry)


def _namespace(name: str) -> str:
    root, *rest = name.split(".")
    return ".".join([root, *rest[:1]]) if root in _SHARED_ROOTS else root


def _of_keys(template: str) -> str:
    return template.removeprefix("template[").removesuffix("]")


def _fits(given: str, wanted: str) -> bool:
    # an int is no double: a backend makes a column of the type that comes first, and the other then goes missing
    return wanted in {given, "any"} or (given == "any" and wanted.startswith("template["))


def _unknown(name: str, event_name: str | None) -> str:
    namespace = _namespace(name)
    nearest = " or ".join(map(repr, _nearest(name)))
    own = "choose a name of your own outside of it"
    if event_name is not None:
        own += f", such as {event_name + '.' + (name.removeprefix(namespace + '.'))!r}"
    return (
        f"{name!r} is no attribute of the semantic conventions {version()}, which have {namespace!r} for themselves; "
        + (f"take {nearest}, or {own}" if nearest else own)
    )


def _misfit(convention: Convention, given: str) -> str:
    name, wanted = convention.name, convention.type
    key = f", or name a key of it, such as '{name}.key'" if given == _of_keys(wanted) else ""
    return (
        f"the semantic conventions say that {name!r} is {wanted}, not {given}; "
        f"annotate the field as `{_annotation(wanted)}`{key}, or choose a name of your own"
    )


def _annotation(wanted: str) -> str:
    """The Python type that becomes an attribute of that type."""
    if wanted.startswith("template["):
        return f"dict[str, {_annotation(_of_keys(wanted))}]"
    if wanted.endswith("[]"):
        return f"list[{_annotation(wanted.removesuffix('[]'))}]"
    return {"string": "str", "int": "int", "double": "float", "boolean": "bool"}.get(wanted, "Any")


def _nearest(name: str) -> list[str]:
    """The names that may have been meant: those below it, else those that look like it; never a deprecated one."""
    current = {each.name: _shown(each) for each in _registry().attributes if each.deprecated is None}
    renamed = {each.name: current[each.renamed_to] for each in _registry().attributes if each.renamed_to in current}
    below = [shown for known, shown in current.items() if known.startswith(f"{name}.")]
    if below:
        return below[:_MAX_SHOWN]
    meant = current | renamed
    alike = difflib.get_close_matches(name, meant, n=_MAX_SHOWN, cutoff=0.75)
    return list(dict.fromkeys(meant[known] for known in alike))


def _shown(convention: Convention) -> str:
    return f"{convention.name}.<key>" if convention.type.startswith("template[") else convention.name
