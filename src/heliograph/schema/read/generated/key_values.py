"""Generate the function that turns the events of one class into the key values of OTLP, without making attributes of them first.

It is for log records that go straight to an outbox. The tests of values are those of `heliograph.schema.read.generated.attributes`: only
the statement that follows a test differs. A common value with nothing inside of it is encoded at once. For all other fields, and for odd
values, the attributes are made first, and then encoded. Both ways give the same bytes.

This package knows nothing of OTLP. A `KeyValueEncoder` encodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from heliograph.events import EventLike, Privacy
from heliograph.schema.model.types import StringType, Type, without_null
from heliograph.schema.model.wire_attributes import wire_type
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.generated.attributes import ATTRIBUTES, AttributeWriter, careful_lines, plain_lines
from heliograph.schema.read.generated.forms import SCALARS, FormWriter
from heliograph.schema.read.generated.function import known_to, reading_lines
from heliograph.schema.read.generated.odd_values import Read, other_values
from heliograph.schema.read.generated.source import Code, Source, Steps, indented
from heliograph.schema.read.validation import Violation
from heliograph.semconv import SCOPE
from heliograph.values.attributes import Attributes
from heliograph.values.privacy import PrivacyPolicy

KeyValuesFunction = Callable[[EventLike, "list[Violation] | None"], "list[bytes] | None"]
"""A function that takes an event, and a list to fill with violations or `None`, and returns its encoded attributes in their order.

`None` means that the attributes have to be made for it; `violations` may have some of them then.
"""


class KeyValueEncoder(Protocol):
    """Encodes attributes as OTLP. The methods with a name are called once for each class of events."""

    def texts(self, name: str) -> Mapping[int, bytes]:
        """Return the bytes before the text of an attribute, by its size in UTF-8."""

    def integers(self, name: str) -> Mapping[int, bytes]:
        """Return a mapping from each integer to the encoded attribute with that value."""

    def booleans(self, name: str) -> Mapping[bool, bytes]:
        """Return a mapping from each boolean to the encoded attribute with that value."""

    def doubles(self, name: str) -> Callable[[float], bytes]:
        """Return the function that encodes the attribute."""

    def names(self, key_values: list[bytes]) -> list[str]:
        """Return the names of encoded attributes."""

    def put(self, key_values: list[bytes], attributes: Attributes) -> None:
        """Append encoded attributes. Raise a `ValueError` if they have to be together with those of the whole event."""


def generate_key_values_function(
    readers: Sequence[FieldReader], policy: PrivacyPolicy, encoder: KeyValueEncoder
) -> KeyValuesFunction | None:
    """Return a function that encodes an event, or `None` if two fields could have attributes of one name.

    Args:
        readers: The reader of each field.
        policy: The privacy policy.
        encoder: Encodes the attributes.
    """
    if not _names_are_apart([reader.attribute for reader in readers]):
        return None
    source = _KeyValueWriter(policy, encoder).source(readers)
    known = {**known_to(policy), "put_attributes": encoder.put}
    function: KeyValuesFunction = source.compile(known)["key_values_of_0"]
    return function


def _names_are_apart(names: Sequence[str]) -> bool:
    """Return True if no two fields can have the same attribute, and none can have one that is added to each event."""
    # Only our own classes may have these names.
    if any(name.startswith(f"{SCOPE}.") for name in names):
        return False
    return not any(other.startswith(f"{name}.") for name in names for other in names)


class _KeyValueWriter:
    def __init__(self, policy: PrivacyPolicy, encoder: KeyValueEncoder) -> None:
        self._source = Source()
        self._policy = policy
        self._encoder = encoder
        self._forms = FormWriter(self._source, policy)
        self._other_values = partial(other_values, policy=policy, known=known_to(self._policy))

    def source(self, readers: Sequence[FieldReader]) -> Source:
        """Return the source of the function, which has the name ``key_values_of_0``, and of its helper functions."""
        variables = [self._source.name("value") for _ in readers]
        lines = ["key_values = []", "put = key_values.append"]
        for reader, variable in zip(readers, variables):
            lines += self._encoding_lines(reader, variable) or self._attribute_lines(reader, variable)
        # After any exception, the caller makes the attributes of the whole event.
        body = [
            "try:",
            *indented([*lines, "return key_values"]),
            "except program_errors():",
            *indented(["return None"]),
        ]
        self._source.function("key_values_of", "event, violations", [*reading_lines(readers, variables, "None"), *body])
        return self._source

    def _attribute_lines(self, reader: FieldReader, variable: str) -> list[str]:
        """Return the statements that make the attributes of a field, and encode them."""
        writer = AttributeWriter(self._source, self._policy, reader.reserved, self._other_values)
        return [
            f"{ATTRIBUTES} = {{}}",
            *writer.field_lines(reader, variable),
            f"put_attributes(key_values, {ATTRIBUTES})",
        ]

    def _encoding_lines(self, reader: FieldReader, variable: str) -> list[str] | None:
        """Return the statements that encode a field with nothing inside of it, or `None` for any other."""
        kind = without_null(reader.field.type)
        if reader.privacy is not Privacy.PLAIN or not isinstance(kind, SCALARS):
            return None
        code = self._code_of(kind, variable)
        key_value = None if code is None else self._key_value(wire_type(kind), reader.attribute, code.form)
        if code is None or key_value is None:
            return None
        steps = Steps(code.test, [f"put({key_value})"], code.may_raise)
        read = self._source.constant("encode", _odd_value_encoder(self._other_values(reader), self._encoder))
        write = careful_lines if steps.may_raise else plain_lines
        is_optional = kind is not reader.field.type
        return write(steps, f"{read}(key_values, {variable}, violations)", variable, is_optional=is_optional)

    def _code_of(self, kind: Type, variable: str) -> Code | None:
        if kind == StringType():
            # Its encoding raises an exception if it has lone surrogates, so nothing has to look for them before.
            return Code(f"type({variable}) is str", variable, may_raise=True)
        return self._forms.code_of(kind, variable, is_wire=True)

    def _key_value(self, wire: str, name: str, form: str) -> str | None:
        """Return the expression of the encoded attribute that has a form, which is a scalar."""
        match wire:
            case "string":
                return (
                    f"{self._source.constant('texts', self._encoder.texts(name))}[len(data := {form}.encode())] + data"
                )
            case "int":
                return f"{self._source.constant('integers', self._encoder.integers(name))}[{form}]"
            case "boolean":
                return f"{self._source.constant('booleans', self._encoder.booleans(name))}[{form}]"
            case "double":
                return f"{self._source.constant('double', self._encoder.doubles(name))}({form})"
            case _:  # pragma: no cover — a scalar of another type has no source
                return None


def _odd_value_encoder(
    read: Read, encoder: KeyValueEncoder
) -> Callable[[list[bytes], object, list[Violation] | None], None]:
    """Return a function that encodes any value of a field, as another function reads it."""

    def encode(key_values: list[bytes], value: object, violations: list[Violation] | None) -> None:
        attributes: Attributes = {}
        read(attributes, value, violations)
        encoder.put(key_values, attributes)

    return encode
