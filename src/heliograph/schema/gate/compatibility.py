"""Find the values that one JSON Schema accepts and another one rejects.

The *writer* is the schema that values were written with, the *reader* the schema that they are checked against. For the
mode ``backward`` the writer is the old schema, for ``forward`` the new one.

Only the keywords that `heliograph.schema.export.json_schema` writes are known here; any other keyword is ignored. The
comparison errs on the safe side: if it cannot prove that a value is accepted, it reports it. A new pattern, for example, is
always reported, because nothing here can prove that every text that matches the old one matches the new one, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from heliograph.schema.model.patterns import compile_pattern
from heliograph.schema.model.types import is_multiple
from heliograph.values.text import counted

Schema: TypeAlias = Mapping[str, Any]

_WRITER_TYPES: Final = {"number": {"number", "integer"}}
"""For a reader's type: the writer's types whose values it accepts. A type that is not listed accepts only itself."""

_LENGTHS: Final = {
    "character": ("minLength", "maxLength"),
    "item": ("minItems", "maxItems"),
    "key": ("minProperties", "maxProperties"),
}
"""The keywords for the least and the greatest length, by the unit that they count."""


@dataclass(frozen=True)
class Rejection:
    """Values that the writer's schema accepts and the reader's schema does not.

    Attributes:
        path: The place in the event's properties, such as ``lines[].sku``; ``{}`` is any key of a dict.
        reason: A clause that names the values, such as ``numbers below 0 are not accepted``.
    """

    path: str
    reason: str


def rejections(writer: Schema, reader: Schema) -> list[Rejection]:
    """Return the values that the writer's schema accepts and the reader's schema rejects; an empty list if there are none.

    An instance of a class is assumed to have the keys of its class and no others, although the JSON Schema permits more. Without
    this assumption, each new optional field would be reported: older values could have that key, with any value.
    """
    comparison = _Comparison(writer.get("$defs", {}), reader.get("$defs", {}))
    return list(dict.fromkeys(comparison.compare(writer, reader, "")))


class _Comparison:
    """One comparison of two documents.

    Attributes:
        _by_references: The results for pairs of classes, by their references, so that each pair is compared once.
        _open: The pairs that are being compared right now, each inside the comparison of another.
        _assumed: Those of the open pairs that the comparison of the innermost pair has assumed to be accepted.
    """

    def __init__(self, writer_definitions: Schema, reader_definitions: Schema) -> None:
        self._writer_definitions = writer_definitions
        self._reader_definitions = reader_definitions
        self._by_references: dict[tuple[str, str], list[Rejection]] = {}
        self._open: set[tuple[str, str]] = set()
        self._assumed: set[tuple[str, str]] = set()

    def compare(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        """Yield what the reader rejects of the writer's values. Each option of a union must be accepted by one option."""
        reader_options = reader.get("anyOf", [reader])
        for option in writer.get("anyOf", [writer]):
            found = [list(self._compare_option(option, other, path)) for other in reader_options]
            # Each of the reader's options rejects something.
            if all(found):
                yield from self._nearest(option, reader_options, found, path)

    def _nearest(
        self, option: Schema, reader_options: list[Schema], found: list[list[Rejection]], path: str
    ) -> Iterator[Rejection]:
        """Yield the problems of an option that no option of the reader accepts.

        If exactly one of the reader's options has the same type, it is the one that was meant, and its details are
        reported. Otherwise the option is reported as a whole: details about an unrelated type would mislead.
        """
        resolved = self._resolve(option, self._writer_definitions)
        candidates = [self._resolve(other, self._reader_definitions) for other in reader_options]
        same_type = [each for each, other in zip(found, candidates) if _type_name(other) == _type_name(resolved)]
        if len(same_type) == 1:
            yield from same_type[0]
        else:
            accepted = " or ".join(dict.fromkeys(map(_describe, candidates)))
            yield Rejection(path, f"{_describe(resolved)} is not accepted, only {accepted}")

    def _compare_option(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        references = (writer.get("$ref", ""), reader.get("$ref", ""))
        resolved = (self._resolve(writer, self._writer_definitions), self._resolve(reader, self._reader_definitions))
        if not all(references):
            yield from self._compare_resolved(*resolved, path)
            return
        for each in self._compare_classes(references, *resolved):
            yield Rejection(_join(path, each.path), each.reason)

    def _compare_classes(self, references: tuple[str, str], writer: Schema, reader: Schema) -> list[Rejection]:
        """Return what the reader's class rejects of the writer's class, with paths relative to the class.

        A class may hold itself, directly or through others. To end the recursion, a pair that is being compared further up is
        assumed to be accepted; whatever is wrong with it is reported there.
        """
        if references in self._open:
            self._assumed.add(references)
            return []
        found = self._by_references.get(references)
        if found is None:
            outer, self._assumed = self._assumed, set()
            self._open.add(references)
            found = list(self._compare_resolved(writer, reader, ""))
            self._open.remove(references)
            self._assumed.discard(references)
            # A result that rests on an assumption about a pair further up is not kept. That pair may turn out to be
            # rejected, in a union with another option that is accepted; then nothing would be reported anywhere.
            if not self._assumed:
                self._by_references[references] = found
            self._assumed |= outer
        return found

    def _resolve(self, schema: Schema, definitions: Schema) -> Schema:
        resolved: Schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        return resolved

    def _compare_resolved(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        """Compare two schemas that are neither a union nor a reference."""
        if not reader.keys() & {"type", "enum"}:
            return  # the reader accepts anything
        if "enum" in writer:
            rejected = [value for value in writer["enum"] if not _accepts(reader, value)]
            if rejected:
                yield Rejection(path, f"{_list(rejected)} {'is' if len(rejected) == 1 else 'are'} not accepted")
        elif "type" not in reader or writer.get("type") not in _WRITER_TYPES.get(reader["type"], {reader["type"]}):
            yield Rejection(path, f"{_describe(writer)} is not accepted, only {_describe(reader)}")
        else:
            yield from _compare_constraints(writer, reader, path)
            yield from self._compare_contents(writer, reader, path)

    def _compare_contents(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        if reader["type"] == "array":
            yield from self._compare_arrays(writer, reader, path)
        elif reader["type"] == "object" and "properties" in reader:
            yield from self._compare_with_class(writer, reader, path)
        elif reader["type"] == "object":
            yield from self._compare_with_dict(writer, reader, path)

    def _compare_arrays(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        prefixes = writer.get("prefixItems", []), reader.get("prefixItems", [])
        for index in range(max(map(len, prefixes))):
            written, read = (
                prefix[index] if index < len(prefix) else schema["items"]
                for prefix, schema in zip(prefixes, (writer, reader))
            )
            # ``False`` permits no item here: then the lengths differ, and `_compare_constraints` has reported them
            if isinstance(written, Mapping) and isinstance(read, Mapping):
                yield from self.compare(written, read, f"{path}[{index}]")
        if isinstance(writer.get("items"), Mapping):
            if isinstance(reader.get("items"), Mapping):
                yield from self.compare(writer["items"], reader["items"], f"{path}[]")
            else:
                yield Rejection(path, "a list of any length is not accepted, only one of a fixed length")

    def _compare_with_class(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        if "properties" not in writer:
            yield Rejection(path, "a dict with any keys is not accepted, only one with the fields of a class")
            return
        always_present = set(writer.get("required", ()))
        for name, inner in reader["properties"].items():
            below = _join(path, name)
            if name in reader.get("required", ()) and name not in always_present:
                problem = "may be missing" if name in writer["properties"] else "is always missing"
                yield Rejection(below, f"the field is required, and {problem}")
            if name in writer["properties"]:
                yield from self.compare(writer["properties"][name], inner, below)

    def _compare_with_dict(self, writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
        """Compare keys and values with those of a dict; the writer is a dict, or a class whose fields are the keys."""
        fields: Schema | None = writer.get("properties")
        for each in [writer["additionalProperties"]] if fields is None else fields.values():
            yield from self.compare(each, reader["additionalProperties"], f"{path}{{}}")
        if "propertyNames" in reader:
            any_key = {"type": "string"}
            keys = writer.get("propertyNames", any_key) if fields is None else {"enum": list(fields)}
            for rejection in self.compare(keys, reader["propertyNames"], f"{path}{{}}"):
                yield Rejection(rejection.path, f"as a key, {rejection.reason}")


def _join(path: str, below: str) -> str:
    """Return the path of a field; `below` begins with the field's name, because only classes are referred to."""
    return f"{path}.{below}" if path else below


def _type_name(schema: Schema) -> str:
    """Return the name of the type of a schema's values. An enum of texts has the same name as other texts."""
    if "enum" in schema:
        return "/".join(sorted({type(value).__name__ for value in schema["enum"]}))
    name: str = schema.get("type", "anything")
    return {"string": "str", "integer": "int"}.get(name, name)


def _describe(schema: Schema) -> str:
    return f"one of {_list(schema['enum'])}" if "enum" in schema else str(schema.get("type", "anything"))


def _list(values: list[object]) -> str:
    return ", ".join(map(repr, values))


def _accepts(schema: Schema, value: object) -> bool:
    """Return True if a schema that is neither a union nor a reference accepts one value of an enum."""
    if "enum" in schema:
        # `type` as well, since ``True == 1`` and ``1 == 1.0`` in Python
        return any(type(value) is type(other) and value == other for other in schema["enum"])
    classes: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    accepted = classes.get(schema["type"])
    if accepted is None or not isinstance(value, accepted) or isinstance(value, bool) != (schema["type"] == "boolean"):
        return False
    if isinstance(value, str):
        is_length_accepted = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)
        return is_length_accepted and all(compile_pattern(pattern).search(value) for pattern in _patterns(schema))
    if isinstance(value, (int, float)):
        has_factor = "multipleOf" not in schema or is_multiple(value, schema["multipleOf"])
        return has_factor and _lower_bound(schema) <= (value, False) and _upper_bound(schema) <= (-value, False)
    return True


def _compare_constraints(writer: Schema, reader: Schema, path: str) -> Iterator[Rejection]:
    for unit, (least, most) in _LENGTHS.items():
        if reader.get(least, 0) > writer.get(least, 0):
            yield Rejection(path, f"lengths below {counted(reader[least], unit)} are not accepted")
        if reader.get(most, math.inf) < writer.get(most, math.inf):
            yield Rejection(path, f"lengths above {counted(reader[most], unit)} are not accepted")
    lower, upper = _lower_bound(reader), _upper_bound(reader)
    if lower > _lower_bound(writer):
        yield Rejection(path, f"numbers {'up to' if lower[1] else 'below'} {lower[0]} are not accepted")
    if upper > _upper_bound(writer):
        yield Rejection(path, f"numbers {'from' if upper[1] else 'above'} {-upper[0]} are not accepted")
    if "multipleOf" in reader and ("multipleOf" not in writer or writer["multipleOf"] % reader["multipleOf"]):
        yield Rejection(path, f"only multiples of {reader['multipleOf']} are accepted")
    for pattern in sorted(_patterns(reader) - _patterns(writer)):
        yield Rejection(path, f"only text that matches {pattern!r} is accepted")


def _lower_bound(schema: Schema) -> tuple[float, bool]:
    """Return the lower bound, and True if the bound itself is excluded. A greater tuple accepts fewer numbers."""
    return max((schema.get("minimum", -math.inf), False), (schema.get("exclusiveMinimum", -math.inf), True))


def _upper_bound(schema: Schema) -> tuple[float, bool]:
    """Return the negated upper bound, and True if the bound itself is excluded. A greater tuple accepts fewer numbers.

    It is negated so that both bounds are compared with the same operator.
    """
    return max((-schema.get("maximum", math.inf), False), (-schema.get("exclusiveMaximum", math.inf), True))


def _patterns(schema: Schema) -> frozenset[str]:
    first = [schema["pattern"]] if "pattern" in schema else []
    return frozenset([*first, *(each["pattern"] for each in schema.get("allOf", ()))])
