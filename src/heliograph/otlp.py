"""OTLP's protobuf messages as values of Python, and as the lines of JSON that a Collector reads and writes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
"""What OTLP writes in hexadecimal, and protobuf in base64."""


def decode_attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Attributes as a dict."""
    return {pair.key: decode_value(pair.value) for pair in pairs}


def decode_value(value: AnyValue) -> object:
    """A value of OTLP as one of Python; bytes as base64 text."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [decode_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return decode_attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    plain: Any = getattr(value, kind) if kind else None
    return plain


def to_json_document(message: Message) -> Any:
    """A message as what OTLP's JSON encoding has of it."""
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    return _with_ids(document, lambda said: base64.b64decode(said).hex())


def to_json_line(message: Message) -> str:
    """A request as one line of OTLP's JSON encoding."""
    return json.dumps(to_json_document(message), separators=(",", ":"))


def without_ids(document: Any) -> Any:
    """OTLP's JSON without the ids, so that protobuf can read it."""
    return _with_ids(document, lambda _: "")


def _with_ids(document: Any, change: Callable[[str], str]) -> Any:
    if isinstance(document, dict):
        return {
            key: change(value) if key in _IDS and isinstance(value, str) else _with_ids(value, change)
            for key, value in document.items()
        }
    return [_with_ids(each, change) for each in document] if isinstance(document, list) else document
