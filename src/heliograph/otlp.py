"""Convert OTLP's protobuf messages to Python values, and to OTLP's JSON encoding, which a Collector reads and writes.

OTLP's JSON differs from protobuf's JSON mapping in two points: trace and span ids are hexadecimal instead of base64, and
enums are integers. Speed does not matter here, so protobuf's library does the work.

Source: OTLP specification, JSON Protobuf Encoding.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
"""The keys of the ids, which OTLP writes in hexadecimal, and protobuf's JSON mapping in base64."""


def decode_attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Return attributes as a dict."""
    return {pair.key: decode_value(pair.value) for pair in pairs}


def decode_value(value: AnyValue) -> object:
    """Return the Python value of an `AnyValue`; bytes become base64 text, and an empty message becomes `None`."""
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
    """Return a message in OTLP's JSON encoding, as dicts and lists."""
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    return _replace_ids(document, lambda base64_id: base64.b64decode(base64_id).hex())


def to_json_line(message: Message) -> str:
    """Return a message as one line of OTLP's JSON encoding."""
    return json.dumps(to_json_document(message), separators=(",", ":"))


def without_ids(document: Any) -> Any:
    """Return OTLP's JSON with empty ids, because protobuf's library cannot read hexadecimal ones.

    Raises:
        ValueError: An id is not a text.
    """
    return _replace_ids(document, lambda _: "")


def with_base64_ids(document: Any) -> Any:
    """Return OTLP's JSON with its hexadecimal ids in base64, as protobuf's library reads them.

    Raises:
        ValueError: An id is not a hexadecimal text.
    """
    return _replace_ids(document, lambda hexadecimal: base64.b64encode(bytes.fromhex(hexadecimal)).decode())


def _replace_ids(document: Any, replace: Callable[[str], str]) -> Any:
    if isinstance(document, dict):
        for key in _IDS & document.keys():
            if not isinstance(document[key], (str, type(None))):
                raise ValueError(f"the {key} of a record is not a text")  # noqa: TRY004 — the value of a file is wrong
        return {
            key: replace(value) if key in _IDS and isinstance(value, str) else _replace_ids(value, replace)
            for key, value in document.items()
        }
    return [_replace_ids(each, replace) for each in document] if isinstance(document, list) else document
