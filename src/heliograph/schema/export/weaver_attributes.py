"""The definitions of the attributes in a Weaver registry: types, examples, and annotations.

An attribute whose values have several types is a template: if a value is a dict, each key of it is an attribute below its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from heliograph.events import Deprecated, Privacy
from heliograph.schema import conventions
from heliograph.schema.export.example import example_properties
from heliograph.schema.export.yaml_text import Yaml
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import EnumType
from heliograph.schema.model.wire_attributes import WireAttribute
from heliograph.schema.read.validation import violations_of
from heliograph.values.forms import form_of
from heliograph.values.privacy import HASH_PREFIX, MASKED
from heliograph.values.text import to_json

_ARRAYS: Final = frozenset({"string[]", "int[]", "double[]", "boolean[]"})
_PYTHON: Final = {"string": str, "int": int, "double": float, "boolean": bool}

_OPEN: Final = "template[any]"
"""The type of an attribute whose values have several types, or are dicts."""

_TEXT: Final = "<text>"
"""The example of a text with the privacy ``DROP``. Weaver requires one, although the value is never exported."""


def definitions(versions: Iterable[EventSchema]) -> dict[str, Yaml]:
    """Return the definitions of the attributes of an event. Their texts are those of the version that was registered last."""
    found: dict[str, Yaml] = {}
    for schema in versions:
        for attribute in schema.wire_attributes():
            if conventions.find(attribute.name) is None:
                definition, older = _definition(attribute, schema), found.get(attribute.name)
                found[attribute.name] = definition if older is None else _merged(older, definition)
    return found


def _merged(older: Yaml, newer: Yaml) -> Yaml:
    """Return the newer definition with a type that also accepts the values of the older one."""
    kind = _common_type(older["type"], newer["type"])
    merged = {**newer, "type": kind}
    # An example fits the type of one version only.
    if kind == _OPEN:
        merged.pop("examples", None)
    return merged


def _common_type(older: Any, newer: Any) -> Any:
    if older == newer:
        return newer
    if isinstance(older, dict) and isinstance(newer, dict):
        members = [*newer["members"], *older["members"]]
        if len({type(member["value"]) for member in members}) == 1:
            return {"members": _with_unique_ids({member["value"]: member for member in reversed(members)}.values())}
    simple = {_type_of_values(kind) for kind in (older, newer)}
    if len(simple) == 1:
        return simple.pop()
    return "double" if simple == {"int", "double"} else _OPEN


def _type_of_values(kind: Any) -> Any:
    if not isinstance(kind, dict):
        return kind
    return "int" if isinstance(kind["members"][0]["value"], int) else "string"


def describe_definition(definition: Yaml) -> str:
    """Return the type of a defined attribute, for messages."""
    kind = definition["type"]
    return kind if isinstance(kind, str) else "an enum of " + ", ".join(str(each["value"]) for each in kind["members"])


def _definition(attribute: WireAttribute, schema: EventSchema) -> Yaml:
    declared = attribute.field.declared
    examples = _examples(attribute)
    return {
        "type": _type(attribute),
        "stability": schema.stability,
        "brief": declared.brief or f"The property `{attribute.path}`.",
        **optional("note", declared.note),
        **({"examples": examples} if examples else {}),
        **deprecation(declared.deprecated),
        **attribute_annotations(attribute),
    }


def optional(key: str, value: object) -> Yaml:
    """Return a mapping with the key, or without it if there is no value."""
    return {} if value is None or value == "" else {key: value}


def _type(attribute: WireAttribute) -> Any:
    kind = attribute.type
    if (
        not isinstance(kind, EnumType)
        or attribute.wire_type not in {"string", "int"}
        or attribute.privacy is not Privacy.PLAIN
    ):
        return _OPEN if attribute.wire_type == "any" else attribute.wire_type
    names = kind.names or tuple(str(value) for value in kind.values)
    members = [
        {"id": name.lower(), "value": value, "brief": name or "(empty)", "stability": "development"}
        for name, value in zip(names, kind.values)
        if value is not None
    ]
    return {"members": _with_unique_ids(members)}


def _with_unique_ids(members: Iterable[Yaml]) -> list[Yaml]:
    """Return the members of an enum, each with an id of its own: ``Red`` and ``RED`` have the same one in lower case."""
    found: dict[str, Yaml] = {}
    for member in members:
        identity, number = member["id"] or "empty", 2
        while identity in found:
            identity, number = f"{member['id'] or 'empty'}_{number}", number + 1
        found[identity] = {**member, "id": identity}
    return list(found.values())


def _examples(attribute: WireAttribute) -> list[object]:
    """Return the examples of an attribute, as it is exported: of a masked or hashed one, a mask or a hash.

    Weaver requires an example of each text. If none is declared, one is made from the type.
    """
    if attribute.privacy is Privacy.MASK:
        return [MASKED]
    if attribute.privacy is Privacy.HASH:
        return [f"{HASH_PREFIX}{'0' * 64}"]
    if attribute.privacy is Privacy.DROP:
        texts: dict[str, list[object]] = {"string": [_TEXT], "string[]": [[_TEXT]]}
        return texts.get(attribute.wire_type, [])
    forms = [form_of(example) for example in attribute.field.declared.examples]
    forms = [form for form in forms if form is not None and not any(violations_of(form, attribute.type, ""))]
    if not forms and attribute.wire_type in {"string", "string[]"} and isinstance(_type(attribute), str):
        made = example_properties([attribute.field])[attribute.field.name]
        forms = [] if any(violations_of(made, attribute.type, "")) else [made]
    return [_example(form, attribute.wire_type) for form in forms]


def _example(form: object, wire_type: str) -> object:
    """Return an example in the type of its attribute, or as text in JSON, for a type that Weaver has no examples of."""
    if wire_type in _ARRAYS:
        return form
    kind = _PYTHON.get(wire_type)
    if kind is not None and kind in {int, float} and isinstance(form, (int, float)):
        return kind(form)
    is_itself = isinstance(form, str if kind is None else kind)
    return form if is_itself else to_json(form)


def attribute_annotations(attribute: WireAttribute) -> Yaml:
    """Return the key ``annotations`` of an attribute with its privacy and unit; nothing if it has neither."""
    found = {
        **({"privacy": {"action": attribute.privacy.value}} if attribute.privacy is not Privacy.PLAIN else {}),
        **optional("unit", attribute.field.declared.unit),
    }
    return {"annotations": found} if found else {}


def deprecation(deprecated: Deprecated | None) -> Yaml:
    """Return the key ``deprecated`` of an event or attribute; nothing if it is not deprecated."""
    if deprecated is None:
        return {}
    if deprecated.renamed_to is not None:
        renamed = {"reason": "renamed", "renamed_to": deprecated.renamed_to}
        return {"deprecated": {**renamed, **optional("note", deprecated.note)}}
    return {"deprecated": {"reason": "obsoleted", "note": deprecated.note or "It has no successor."}}
