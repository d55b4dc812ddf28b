"""Generate the function that turns the events of one class into attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from heliograph.events import EventLike
from heliograph.runtime.program_errors import program_errors
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.generated import declared_dicts
from heliograph.schema.read.generated.attributes import ATTRIBUTES, AttributeWriter
from heliograph.schema.read.generated.odd_values import other_values
from heliograph.schema.read.generated.source import Source, indented
from heliograph.schema.read.validation import Violation
from heliograph.values import plain, plain_attributes
from heliograph.values.attributes import Attributes, array_or_json
from heliograph.values.privacy import PrivacyPolicy
from heliograph.values.standard_library import MAX_VALUES
from heliograph.values.text import escape_surrogates, has_no_surrogates, json_of

AttributesFunction = Callable[..., Attributes]
"""A function that takes an event, and a list to fill with violations or `None`, and returns attributes."""

KNOWN: Final[dict[str, object]] = {
    "ABSENT": declared_dicts.ABSENT,
    "MAX_VALUES": MAX_VALUES,
    "NotPlain": plain.NotPlain,
    "UNSET": msgspec.UNSET,
    "array_or_json": array_or_json,
    "dict_form": plain.dict_form,
    "escape_surrogates": escape_surrogates,
    "flatten": plain_attributes.flatten,
    "forget": plain_attributes.forget,
    "has_no_surrogates": has_no_surrogates,
    "in_order": declared_dicts.in_order,
    "items_of_tuple": tuple.__iter__,
    "json_of": json_of,
    "json_unless_text": plain_attributes.json_unless_text,
    "keyed": declared_dicts.keyed,
    "list_attribute": plain_attributes.list_attribute,
    "plain_form": plain.plain_form,
    "program_errors": program_errors,
    "put_dict_form": plain_attributes.put_dict_form,
    "put_inner": plain_attributes.put_inner,
    "put_item": plain_attributes.put_item,
    "put_json": plain_attributes.put_json,
    "put_form": plain_attributes.put_form,
    "put_mapping": plain_attributes.put_mapping,
    "put_value": plain_attributes.put_value,
    "text_of": msgspec.to_builtins,
}
"""The values that all generated functions refer to, by the names that they have in the source."""


def generate_attributes_function(
    readers: Sequence[FieldReader],
    policy: PrivacyPolicy,
    fallback: Callable[[EventLike, list[Violation] | None], Attributes],
) -> AttributesFunction:
    """Return a function that turns an event into the attributes of its fields, and never raises an exception.

    Args:
        readers: The reader of each field.
        policy: The privacy policy.
        fallback: The function that reads an event whose fields cannot be read, such as one with a property that raises.
    """
    source = function_source(readers, policy)
    names = source.compile({**known_to(policy), "fallback": fallback})
    function: AttributesFunction = names["attributes_of_0"]
    return function


def known_to(policy: PrivacyPolicy) -> dict[str, object]:
    """Return `KNOWN`, and the functions of a policy that generated functions refer to."""
    return {**KNOWN, "hash_bytes": policy.hash_bytes, "hash_text": policy.hash_text}


def function_source(readers: Sequence[FieldReader], policy: PrivacyPolicy) -> Source:
    """Return the source of the function, which has the name ``attributes_of_0``, and of its helper functions."""
    source = Source()
    variables = [source.name("value") for _ in readers]
    others = partial(other_values, policy=policy, known=known_to(policy))
    lines: list[str] = []
    for reader, variable in zip(readers, variables):
        lines += AttributeWriter(source, policy, reader.reserved, others).field_lines(reader, variable)
    body = [
        *reading_lines(readers, variables, "fallback(event, violations)"),
        f"{ATTRIBUTES} = {{}}",
        *lines,
        f"return {ATTRIBUTES}",
    ]
    source.function("attributes_of", "event, violations=None", body)
    return source


def reading_lines(readers: Sequence[FieldReader], variables: Sequence[str], otherwise: str) -> list[str]:
    """Return the statements that read the fields of the event, each once: one may be a property of the program's own.

    Args:
        readers: The readers of the fields.
        variables: The variable of each field.
        otherwise: The expression of the result if a field cannot be read.
    """
    if not readers:
        return []
    return [
        "try:",
        *indented([f"{variable} = event.{reader.field.name}" for reader, variable in zip(readers, variables)]),
        "except program_errors():",
        *indented([f"return {otherwise}"]),
    ]
