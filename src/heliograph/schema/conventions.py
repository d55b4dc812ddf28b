"""OpenTelemetry's semantic conventions: attributes whose name and type are the same in every program.

If an event class refers to one of them (``Attribute("db.namespace")``), its type is checked when the class is registered.

The check needs no network. Its table is ``conventions.json``, which ``docs/conventions.py`` generates: the package
``opentelemetry-semantic-conventions`` has the names, but not the types. The table is read at the first call, because most
programs refer to no convention and should not pay for it at import.
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
"""Namespaces that the conventions and programs share. ``app`` is heliograph's default namespace for events, and the conventions
define a few names in it. In a shared namespace, only the second part is reserved: ``app.screen`` is, ``app.tenant`` is not."""

_MAX_SUGGESTIONS: Final = 3
"""The greatest number of similar names in a message."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """An attribute of the semantic conventions.

    Attributes:
        name: Its name.
        type: ``"string"``, ``"int"``, ``"double"``, ``"boolean"``, an array of one such as ``"string[]"``, ``"any"``, or
            ``"template[...]"`` around one of these if each key below the name is an attribute of that type. For an enum it
            is the type of its members.
        members: The well-known values of an enum; other values are permitted. Empty for other types.
        stability: Its stability level.
        deprecated: The reason of its deprecation: ``"renamed"``, ``"obsoleted"`` or ``"uncategorized"``; `None` if it is not
            deprecated.
        renamed_to: The name that replaced it, or `None`.
    """

    name: str
    type: str
    members: tuple[str | int, ...] = ()
    stability: Stability = "development"
    deprecated: str | None = None
    renamed_to: str | None = None


def version() -> str:
    """Return the version of the semantic conventions that names are checked against, such as ``"1.44.0"``."""
    return _table().version


def find(name: str) -> Convention | None:
    """Return the attribute with that name, deprecated or not, or `None`.

    Each key below a template is an attribute:

    >>> find("http.request.header.accept")
    Convention(name='http.request.header.accept', type='string[]', members=(), stability='stable', deprecated=None, renamed_to=None)
    """
    table = _table()
    return table.by_name.get(name) or table.find_key(name)


def defined_name(name: str) -> str:
    """Return the name by which the conventions define an attribute: of a key below a template, the name of the template.

    >>> defined_name("http.request.header.accept"), defined_name("db.namespace")
    ('http.request.header', 'db.namespace')
    """
    table = _table()
    return name if name in table.by_name else table.template_of(name) or name


def is_reserved(name: str) -> bool:
    """Return True if the name is in a namespace of the semantic conventions, where programs must not invent names.

    A namespace with only deprecated names is not reserved: all names in `message` are deprecated, and `gen_ai` has moved to
    conventions of its own. `app` is shared with programs; only the names that the conventions define in it are reserved.

    >>> is_reserved("db.anything"), is_reserved("session"), is_reserved("app.screen.size")
    (True, True, True)
    >>> is_reserved("app.tenant.id"), is_reserved("message.length"), is_reserved("forum.thread")
    (False, False, False)
    """
    return _namespace(name) in _table().namespaces


def problem(name: str, attribute_type: str, *, event_name: str | None = None) -> str | None:
    """Return the problem with a reference to an attribute and its fix, in one sentence, or `None` if there is no problem.

    A reference to a deprecated attribute is not a problem; `find` returns its new name. If a class becomes several attributes
    (``user`` with ``id`` and ``name``), call this for each of them, not for the name of the class.

    Args:
        name: The attribute's name.
        attribute_type: The type that it has in the event, as in `Convention.type`; ``"any"`` if its values have several
            types, such as a dict with open keys.
        event_name: The event's own name. Names below it belong to the event, even if they are in a reserved namespace.

    >>> problem("db.namespace", "string")
    >>> problem("http.response.status_code", "string")
    "the semantic conventions define 'http.response.status_code' as int, not string; annotate the field as `int`, or choose another name"
    """
    if event_name is not None and f"{name}.".startswith(f"{event_name}."):
        return None
    convention = find(name)
    if convention is None:
        return _unknown(name, event_name) if is_reserved(name) else None
    return None if _fits(attribute_type, convention.type) else _misfit(convention, attribute_type)


@dataclass(frozen=True, kw_only=True)
class _Table:
    """The content of ``conventions.json``."""

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

    def find_key(self, name: str) -> Convention | None:
        """Return the attribute for a key below a template, or `None`."""
        template = self.template_of(name)
        if template is None:
            return None
        each = self.by_name[template]
        return dataclasses.replace(each, name=name, type=_type_of_keys(each.type))

    def template_of(self, name: str) -> str | None:
        """Return the name of the template that the attribute is a key of, or `None`."""
        below = (each.name for each in self.templates if name.startswith(f"{each.name}.") and name != f"{each.name}.")
        return next(below, None)


@functools.cache
def _table() -> _Table:
    content = resources.files("heliograph.schema").joinpath("conventions.json").read_bytes()
    return msgspec.json.decode(content, type=_Table)


def _namespace(name: str) -> str:
    """Return the part of a name that is reserved: the first one, or the first two if the first is shared with programs."""
    root, *rest = name.split(".")
    return ".".join([root, *rest[:1]]) if root in _SHARED_ROOTS else root


def _type_of_keys(template: str) -> str:
    return template.removeprefix("template[").removesuffix("]")


def _fits(given: str, wanted: str) -> bool:
    """Return True if an attribute of the type `given` is correct where the conventions define the type `wanted`."""
    # An int is not accepted as a double: some backends create a column with the type that arrives first, and then reject the
    # other type.
    return wanted in {given, "any"} or (given == "any" and wanted.startswith("template["))


def _unknown(name: str, event_name: str | None) -> str:
    namespace = _namespace(name)
    nearest = " or ".join(map(repr, _nearest(name)))
    own = "choose a name outside of it"
    if event_name is not None:
        own += f", such as {event_name + '.' + (name.removeprefix(namespace + '.'))!r}"
    return (
        f"{name!r} is not defined by the semantic conventions {version()}, and the namespace {namespace!r} is reserved for "
        + (f"them; use {nearest}, or {own}" if nearest else f"them; {own}")
    )


def _misfit(convention: Convention, given: str) -> str:
    name, wanted = convention.name, convention.type
    key = f", or use a key below it, such as '{name}.key'" if given == _type_of_keys(wanted) else ""
    return (
        f"the semantic conventions define {name!r} as {wanted}, not {given}; "
        f"annotate the field as `{_annotation(wanted)}`{key}, or choose another name"
    )


def _annotation(wanted: str) -> str:
    """Return the Python annotation of a field that becomes an attribute of that type."""
    if wanted.startswith("template["):
        return f"dict[str, {_annotation(_type_of_keys(wanted))}]"
    if wanted.endswith("[]"):
        return f"list[{_annotation(wanted.removesuffix('[]'))}]"
    return {"string": "str", "int": "int", "double": "float", "boolean": "bool"}.get(wanted, "Any")


def _nearest(name: str) -> list[str]:
    """Return names that the author may have meant: those below the name, otherwise similar ones; never a deprecated one."""
    current = {each.name: _as_suggestion(each) for each in _table().attributes if each.deprecated is None}
    renamed = {each.name: current[each.renamed_to] for each in _table().attributes if each.renamed_to in current}
    below = [suggestion for known, suggestion in current.items() if known.startswith(f"{name}.")]
    if below:
        return below[:_MAX_SUGGESTIONS]
    meant = current | renamed
    alike = difflib.get_close_matches(name, meant, n=_MAX_SUGGESTIONS, cutoff=0.75)
    return list(dict.fromkeys(meant[known] for known in alike))


def _as_suggestion(convention: Convention) -> str:
    return f"{convention.name}.<key>" if convention.type.startswith("template[") else convention.name
