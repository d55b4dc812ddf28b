"""Whether every value that one JSON Schema accepts is accepted by another; for the keywords that we write."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]

_ACCEPTED_BY: Final = {"number": {"number", "integer"}}
"""The types whose values a type accepts, where they are more than its own."""


@dataclass(frozen=True)
class Refusal:
    """Values that are not accepted any more.

    Attributes:
        path: Where they stand: ``lines[].sku``.
        reason: Which they are.
    """

    path: str
    reason: str


def refusals(old: Schema, new: Schema) -> list[Refusal]:
    """What the old schema accepts and the new one does not; both may have ``$defs``.

    It errs on the safe side: a new pattern counts as a refusal, whatever it matches. The value of a class has the keys of
    the class, and no others, although its schema lets it have more.
    """
    comparison = _Comparison(old.get("$defs", {}), new.get("$defs", {}))
    return list(dict.fromkeys(comparison.compare(old, new, "")))


class _Comparison:
    def __init__(self, old_definitions: Schema, new_definitions: Schema) -> None:
        self._old = old_definitions
        self._new = new_definitions
        self._known: dict[tuple[str, str], list[Refusal]] = {}

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        olds, news = old.get("anyOf", [old]), new.get("anyOf", [new])
        for option in olds:
            found = [list(self._compare_referred(option, other, path)) for other in news]
            if not all(found):
                continue
            kind = _kind(_resolved(option, self._old))
            alike = [each for each, other in zip(found, news) if _kind(_resolved(other, self._new)) == kind]
            if len(alike) == 1:
                yield from alike[0]
            else:
                now = f", now {_shown(_resolved(news[0], self._new))}" if len(news) == 1 else ""
                yield Refusal(path, f"{_shown(_resolved(option, self._old))} is not accepted any more{now}")

    def _compare_referred(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        references = (old.get("$ref", ""), new.get("$ref", ""))
        resolved = _resolved(old, self._old), _resolved(new, self._new)
        if not all(references):
            yield from self._compare_one(*resolved, path)
            return
        if references not in self._known:
            self._known[references] = []  # what a class that holds itself finds below: it is as good as the class
            self._known[references] = list(self._compare_one(*resolved, ""))
        for each in self._known[references]:
            yield Refusal(_joined(path, each.path), each.reason)

    def _compare_one(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        if _accepts_anything(new):
            return
        if "enum" in old:
            yield from _enums(old, new, path)
        elif "type" not in new or old.get("type") not in _ACCEPTED_BY.get(new["type"], {new["type"]}):
            yield Refusal(path, f"{_shown(old)} is not accepted any more, now {_shown(new)}")
        else:
            yield from _bounds(old, new, path)
            yield from self._inside(old, new, path)

    def _inside(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        if new["type"] == "array":
            yield from self._arrays(old, new, path)
        elif new["type"] == "object" and "properties" in new:
            yield from self._objects(old, new, path)
        elif new["type"] == "object":
            yield from self._maps(old, new, path)

    def _arrays(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        prefixes = old.get("prefixItems", []), new.get("prefixItems", [])
        for index in range(max(map(len, prefixes))):
            items = [
                prefix[index] if index < len(prefix) else schema["items"]
                for prefix, schema in zip(prefixes, (old, new))
            ]
            if all(isinstance(each, Mapping) for each in items):
                yield from self.compare(items[0], items[1], f"{path}[{index}]")
        if isinstance(old.get("items"), Mapping):
            if isinstance(new.get("items"), Mapping):
                yield from self.compare(old["items"], new["items"], f"{path}[]")
            else:
                yield Refusal(path, "a list of any length was accepted, now one of a fixed length")

    def _objects(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        if "properties" not in old:
            yield Refusal(path, "any keys were accepted, now those of a class")
            return
        required = set(old.get("required", ()))
        for name, inner in new["properties"].items():
            below = _joined(path, name)
            if name in new.get("required", ()) and name not in required:
                was = "it was optional" if name in old["properties"] else "it is new"
                yield Refusal(below, f"it is required now, and {was}")
            if name in old["properties"]:
                yield from self.compare(old["properties"][name], inner, below)

    def _maps(self, old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
        values = [old["additionalProperties"]] if "properties" not in old else list(old["properties"].values())
        for each in values:
            yield from self.compare(each, new["additionalProperties"], f"{path}{{}}")
        if "propertyNames" in new:
            own = {"enum": list(old["properties"])} if "properties" in old else {"type": "string"}
            yield from self.compare(old.get("propertyNames", own), new["propertyNames"], f"{path}{{}}")


def _joined(path: str, below: str) -> str:
    return f"{path}.{below}" if path and below and below[0] not in "[{" else f"{path}{below}"


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _accepts_anything(schema: Schema) -> bool:
    return not schema.keys() & {"type", "enum"}


def _kind(schema: Schema) -> str:
    if "enum" in schema:
        return "/".join(sorted({type(value).__name__ for value in schema["enum"]}))
    kind: str = schema.get("type", "anything")
    return {"string": "str", "integer": "int"}.get(kind, kind)


def _shown(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(repr, schema['enum']))}"
    return str(schema.get("type", "anything"))


def _enums(old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
    gone = [value for value in old["enum"] if not _is_accepted(value, new)]
    if gone:
        yield Refusal(path, f"{', '.join(map(repr, gone))} is not accepted any more")


def _is_accepted(value: object, schema: Schema) -> bool:
    if "enum" in schema:
        return any(type(value) is type(other) and value == other for other in schema["enum"])
    kinds: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    kind = kinds.get(schema["type"])
    if kind is None or not isinstance(value, kind) or isinstance(value, bool) != (schema["type"] == "boolean"):
        return False
    if isinstance(value, str):
        fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)
        return fits and all(re.search(pattern, value) for pattern in _patterns(schema))
    if not isinstance(value, (int, float)):
        return True
    is_multiple = "multipleOf" not in schema or value % schema["multipleOf"] == 0
    return is_multiple and _lower(schema) <= (value, False) and _upper(schema) <= (-value, False)


def _bounds(old: Schema, new: Schema, path: str) -> Iterator[Refusal]:
    for least, most in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")):
        if new.get(least, 0) > old.get(least, 0):
            yield Refusal(path, f"{least} is {new[least]}, and was {old.get(least, 0)}")
        if new.get(most, math.inf) < old.get(most, math.inf):
            yield Refusal(path, f"{most} is {new[most]}, and was {old.get(most, 'open')}")
    if _lower(new) > _lower(old):
        yield Refusal(path, "numbers that were large enough are too small now")
    if _upper(new) > _upper(old):
        yield Refusal(path, "numbers that were small enough are too large now")
    if "multipleOf" in new and ("multipleOf" not in old or old["multipleOf"] % new["multipleOf"]):
        yield Refusal(path, f"only multiples of {new['multipleOf']} are accepted now")
    for pattern in _patterns(new) - _patterns(old):
        yield Refusal(path, f"only texts with {pattern!r} are accepted now")


def _lower(schema: Schema) -> tuple[float, bool]:
    """How high the lower bound is, and whether it is itself excluded."""
    return max((schema.get("minimum", -math.inf), False), (schema.get("exclusiveMinimum", -math.inf), True))


def _upper(schema: Schema) -> tuple[float, bool]:
    """How low the upper bound is, and whether it is itself excluded."""
    return max((-schema.get("maximum", math.inf), False), (-schema.get("exclusiveMaximum", math.inf), True))


def _patterns(schema: Schema) -> frozenset[str]:
    first = [schema["pattern"]] if "pattern" in schema else []
    return frozenset([*first, *(each["pattern"] for each in schema.get("allOf", ()))])
