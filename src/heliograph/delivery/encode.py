"""Log records, resources and scopes as OTLP bytes, and requests that are joined from stored bytes: pure, and total.

The bytes are those of OpenTelemetry's own encoder (`opentelemetry.exporter.otlp.proto.common`), wherever that one does not
fail. Where it does, and a whole batch is lost by it, the value alone takes a form of its own:

======================================  ===============================================================================
value                                   form
======================================  ===============================================================================
text with lone surrogates               with their escapes (`heliograph.schema.values.text`)
an `int` beyond 64 bits                 text (`heliograph.schema.values.integer`)
anything else that OTLP has no type for  its documented form (`heliograph.schema.values.plain`)
a key that is no text                   the text of that form, or its JSON
a value inside itself                   ``<cycle>``
nested deeper than receivers read       ``<too deep>``: protobuf's parsers take 100 messages inside of each other, which
                                        leaves an attribute 47 lists or 31 maps, and a body one more
more than 1,048,576 values inside one   the first of them, and ``<too large>``
a time, an id, flags out of their range  left out, which OTLP reads as unknown
======================================  ===============================================================================

Written by hand, since building protobuf's objects costs ten times as much. Field numbers are those of
https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto; a tag is ``number << 3 | wire type``.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, Union

from heliograph.schema.values import INT64_MAX, INT64_MIN, TOO_LARGE, integer, plain, text, to_json

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord

Buffer: TypeAlias = Union[bytes, memoryview]
T = TypeVar("T")

MAX_VALUES: Final = 2**20
"""How many values inside of one are encoded. Twice as many bytes at least: more than a gRPC server commonly takes."""
MAX_CACHED_KEYS: Final = 1024
MAX_CACHED_KEY_LENGTH: Final = 128
MAX_CACHED_SIZES: Final = 32

_BODY_LEVELS: Final = 96  # of 100; a body's AnyValue is 4 messages deep in a request, a resource attribute's too
_ATTRIBUTE_LEVELS: Final = 95
_ARRAY_LEVELS: Final = 2  # ArrayValue, AnyValue
_MAP_LEVELS: Final = 3  # KeyValueList, KeyValue, AnyValue
_UINT32_MAX: Final = 2**32 - 1
_INT32_MAX: Final = 2**31 - 1
_UINT64_MASK: Final = 2**64 - 1  # an integer below zero is the varint of its two's complement

_pack_fixed32: Final = struct.Struct("<BI").pack
_pack_fixed64: Final = struct.Struct("<BQ").pack
_pack_double: Final = struct.Struct("<Bd").pack


def encode_log_record(record: LogRecord, dropped_attributes_count: int = 0) -> bytes:
    """The `LogRecord` message, whatever the record's body and attributes are.

    Args:
        record: Of the API, or what the SDK's `ReadWriteLogRecord.log_record` is.
        dropped_attributes_count: What the SDK's `ReadWriteLogRecord.dropped_attributes` says.
    """
    body, event_name = _message(record.body, _BODY_LEVELS), record.event_name
    parts = [
        _fixed(_pack_fixed64, 0x09, record.timestamp),
        _severity(record.severity_number),
        _text_field(b"\x1a", record.severity_text) if record.severity_text else b"",
        b"\x2a",
        _VARINTS[len(body)],
        body,
    ]
    if record.attributes is not None:
        _put_attributes(parts, record.attributes)
    if dropped_attributes_count > 0:
        parts += b"\x38", _VARINTS[min(dropped_attributes_count, _UINT32_MAX)]
    if record.trace_id or record.span_id or record.trace_flags:
        parts += (
            _fixed(_pack_fixed32, 0x45, record.trace_flags),
            _id(b"\x4a\x10", record.trace_id, 16),
            _id(b"\x52\x08", record.span_id, 8),
        )
    parts += (
        _fixed(_pack_fixed64, 0x59, record.observed_timestamp),
        _event_names[event_name] if type(event_name) is str else _event_name(event_name),
    )
    return b"".join(parts)


def encode_resource(attributes: Mapping[str, object] | None) -> bytes:
    """The `Resource` message."""
    return b"".join(_attribute_fields(b"\x0a", attributes, _BODY_LEVELS))


def encode_scope(name: str, version: str | None = None, attributes: Mapping[str, object] | None = None) -> bytes:
    """The `InstrumentationScope` message."""
    fields = _attribute_fields(b"\x1a", attributes, _ATTRIBUTE_LEVELS)
    return b"".join((_text_field(b"\x0a", name), _text_field(b"\x12", version), *fields))


def frame_record(message: bytes) -> bytes:
    """An encoded log record as the field of `ScopeLogs` that `request` joins."""
    return b"\x12" + _VARINTS[len(message)] + message


def request(
    resource: Buffer, resource_schema_url: str, groups: Iterable[tuple[Buffer, str, Sequence[Buffer]]]
) -> bytes:
    """The `ExportLogsServiceRequest` message, joined from bytes that were encoded before.

    Args:
        resource: What `encode_resource` gave.
        resource_schema_url: May be empty.
        groups: For each scope what `encode_scope` gave, its schema URL, and its records from `frame_record`.
    """
    parts: list[Buffer] = [b"\x0a", _VARINTS[len(resource)], resource]
    for group in groups:
        parts += _scope_logs(*group)
    parts.append(_text_field(b"\x1a", resource_schema_url))
    return b"".join((b"\x0a", _VARINTS[sum(map(len, parts))], *parts))


def _scope_logs(scope: Buffer, schema_url: str, records: Sequence[Buffer]) -> list[Buffer]:
    content = [b"\x0a", _VARINTS[len(scope)], scope, *records, _text_field(b"\x1a", schema_url)]
    return [b"\x12", _VARINTS[sum(map(len, content))], *content]


# Fields


class _Varints(dict[int, bytes]):
    """The base 128 varint of each integer that is not negative. A lookup costs a third of a call."""

    __slots__ = ()

    def __missing__(self, value: int) -> bytes:
        out = bytearray()
        while value > _SEVEN_BITS:
            out.append(value & _SEVEN_BITS | 0x80)
            value >>= 7
        out.append(value)
        return bytes(out)


_SEVEN_BITS: Final = 0x7F
_VARINTS: Final = _Varints()
_VARINTS.update({value: _VARINTS[value] for value in range(1 << 11)})


def _fixed(pack: Callable[[int, int], bytes], tag: int, value: int | None) -> bytes:
    try:
        return pack(tag, int(value)) if value else b""
    except Exception:  # out of range, or no number at all
        return b""


def _id(head: bytes, value: int, size: int) -> bytes:
    try:
        return head + int.to_bytes(value, size, "big") if value else b""
    except Exception:  # out of range, or no integer at all
        return b""


def _severity(severity: object) -> bytes:
    number = getattr(severity, "_value_", 0)  # five times as fast as `value`
    if type(number) is int and number and -_INT32_MAX <= number <= _INT32_MAX:
        return b"\x10" + _VARINTS[number & _UINT64_MASK]
    return b""


def _text_field(tag: bytes, value: object) -> bytes:
    data = _text_form(value)
    return tag + _VARINTS[len(data)] + data if data else b""


def _text_form(value: object) -> bytes:
    """The text of what is to be text; of `None`, none."""
    if value is None:
        return b""
    kind = type(value)
    if issubclass(kind, str):
        return _utf8(value)  # type: ignore[arg-type]  # just shown
    if issubclass(kind, bytes):  # protobuf takes them as text, if they are
        try:
            return bytes.decode(value).encode()  # type: ignore[arg-type]
        except UnicodeDecodeError:
            pass
    form = plain(value)
    return _utf8(form if isinstance(form, str) else to_json(form))


def _utf8(value: str) -> bytes:
    try:
        return str.encode(value)
    except UnicodeEncodeError:
        return text(str.__str__(value)).encode()


# Attributes


class _Headers(dict[int, bytes]):
    """What comes before an attribute's value in a log record, by the size of what follows.

    A size that is not negative is that of a text in UTF-8; ``~size`` is that of any other `AnyValue` message. The bytes are
    a function of key and size alone, and making them costs more than all else about a short value.
    """

    __slots__ = ("_key",)

    def __init__(self, key: object) -> None:
        super().__init__()
        self._key = _key_field(key)

    def __missing__(self, size: int) -> bytes:
        text_head = b"\x0a" + _VARINTS[size] if size >= 0 else b""
        message_size = len(text_head) + size if size >= 0 else ~size
        head = self._key + b"\x12" + _VARINTS[message_size] + text_head
        header = b"\x32" + _VARINTS[len(head) - len(text_head) + message_size] + head
        if len(self) >= MAX_CACHED_SIZES:
            self.clear()
        self[size] = header
        return header


class _Known(dict[str, T]):
    """What was made of short texts. They may be chosen by an attacker: it is emptied when it is full.

    Args:
        make: Makes it.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[str], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: str) -> T:
        made = self._make(text)
        if len(text) <= MAX_CACHED_KEY_LENGTH:
            if len(self) >= MAX_CACHED_KEYS:
                self.clear()
            self[text] = made
        return made


def _event_name(name: object) -> bytes:
    return _text_field(b"\x62", name)


_keys: Final = _Known(_Headers)
_event_names: Final = _Known(_event_name)


def _put_attributes(parts: list[bytes], attributes: Mapping[str, object]) -> None:
    begin, pairs = len(parts), _pairs(attributes)
    try:
        _put_pairs(parts, pairs, str.encode)
    except UnicodeEncodeError:  # of a text, or of a key: once more, with care for each
        del parts[begin:]
        _put_pairs(parts, pairs, _utf8)


def _put_pairs(parts: list[bytes], pairs: Iterable[tuple[object, object]], encode_text: Callable[[Any], bytes]) -> None:
    for key, value in pairs:
        headers = _keys[key] if type(key) is str else _Headers(key)  # a subclass may equal what it is not
        kind = type(value)
        if kind is str:
            data = encode_text(value)
            parts += headers[len(data)], data
        else:
            encode = _EXACT.get(kind)
            message = encode(value) if encode is not None else _Walk(_ATTRIBUTE_LEVELS).message(value)
            parts += headers[~len(message)], message


def _pairs(attributes: Mapping[str, object]) -> Iterable[tuple[object, object]]:
    """Its items, read at once. `copy` is for the SDK's `BoundedAttributes`, which iterate five times slower."""
    try:
        copied: object = attributes.copy() if hasattr(attributes, "copy") else attributes
        return copied.items() if type(copied) is dict else dict(attributes.items()).items()
    except Exception:  # a mapping's own code may do anything
        form = plain(attributes)
        return form.items() if isinstance(form, dict) else ()


def _attribute_fields(tag: bytes, attributes: Mapping[str, object] | None, levels: int) -> Iterator[bytes]:
    """A field for each attribute of what is encoded once: not worth keeping headers for."""
    for key, value in () if attributes is None else _pairs(attributes):
        pair = _pair(_key_field(key), _message(value, levels))
        yield tag + _VARINTS[len(pair)] + pair


def _pair(key_field: bytes, message: bytes) -> bytes:
    """The `KeyValue` message."""
    return key_field + b"\x12" + _VARINTS[len(message)] + message


def _key_field(key: object) -> bytes:
    return _text_field(b"\x0a", key)


# Values


def _message(value: object, levels: int) -> bytes:
    """The `AnyValue` message of any value, with room for so many messages inside of it."""
    encode = _EXACT.get(type(value))
    return _Walk(levels).message(value) if encode is None else encode(value)


def _string(value: str) -> bytes:
    data = _utf8(value)
    return b"\x0a" + _VARINTS[len(data)] + data


def _integer(value: int) -> bytes:
    if 0 <= value <= INT64_MAX:
        return b"\x18" + _VARINTS[value]
    if INT64_MIN <= value < 0:
        return b"\x18" + _VARINTS[value & _UINT64_MASK]
    return _string(str(integer(value)))


def _bytes(value: bytes) -> bytes:
    return b"\x3a" + _VARINTS[len(value)] + value


_EXACT: Final[Mapping[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"",
    bool: lambda value: b"\x10\x01" if value else b"\x10\x00",
    str: _string,
    int: _integer,
    float: lambda value: _pack_double(0x21, value),
    bytes: _bytes,
}


_UNREADABLE: Final = _string("<unreadable>")


class _Walk:
    """Where the way through a value is.

    Attributes:
        levels: How many messages may be inside of the one that is being made.
        parents: The ids of the values around it.
        values: How many values more may be encoded.
    """

    __slots__ = ("levels", "parents", "values")

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.parents: tuple[int, ...] = ()
        self.values = MAX_VALUES

    def message(self, value: object) -> bytes:
        """The `AnyValue` message of any value."""
        encode = _EXACT.get(type(value))
        if encode is not None:
            return encode(value)
        try:
            return self._by_kind(value)
        except Exception:  # a value's own code may do anything
            with contextlib.suppress(Exception):  # where the stack ends, there is no room for a form either
                return self._form(value)
        return _UNREADABLE

    def _by_kind(self, value: object) -> bytes:
        for kind, encode in _KINDS:
            if isinstance(value, kind):
                return encode(self, value)
        return self._form(value)

    def _form(self, value: object) -> bytes:
        return self.message(plain(value))

    def array(self, value: Sequence[object]) -> bytes:
        """The message of values in a row."""
        return self._container(b"\x2a", value, _ARRAY_LEVELS, self._items(value))

    def map(self, value: Mapping[object, object]) -> bytes:
        """The message of values by key."""
        return self._container(b"\x32", value, _MAP_LEVELS, self._pairs(value))

    def _container(
        self, tag: bytes, value: Sequence[object] | Mapping[Any, object], levels: int, items: Iterator[bytes]
    ) -> bytes:
        parents, room = self.parents, self.levels
        if id(value) in parents:
            return _string("<cycle>")
        if room < (levels if value else 1):
            return _string("<too deep>")
        self.parents, self.levels = (*parents, id(value)), room - levels
        try:
            content = b"".join(field for item in items for field in (b"\x0a", _VARINTS[len(item)], item))
        finally:
            self.parents, self.levels = parents, room
        return tag + _VARINTS[len(content)] + content

    def _items(self, value: Sequence[object]) -> Iterator[bytes]:
        for item in value:
            self.values -= 1
            if self.values < 0:
                yield _string(TOO_LARGE)
                return
            yield self.message(item)

    def _pairs(self, value: Mapping[object, object]) -> Iterator[bytes]:
        for key, item in (value.copy() if type(value) is dict else value).items():  # another thread may change it
            self.values -= 1
            if self.values < 0:
                yield _pair(_key_field(TOO_LARGE), _EXACT[bool](True))
                return
            yield _pair(_nested_key_field(key), self.message(item))


def _nested_key_field(key: object) -> bytes:
    try:
        return _key_field(str(key))  # as OpenTelemetry's encoder does it
    except Exception:  # a key's own code may do anything
        return _key_field(key)


_KINDS: Final[Sequence[tuple[Any, Callable[[_Walk, Any], bytes]]]] = (
    (str, lambda _, value: _string(value)),
    (int, lambda _, value: _integer(int.__index__(value))),
    (float, lambda _, value: _pack_double(0x21, float.__float__(value))),
    (bytes, lambda _, value: _bytes(bytes(memoryview(value)))),
    (Sequence, _Walk.array),
    (Mapping, _Walk.map),
)
"""The message of a value whose exact class is not known, by the first kind that it is of: in the order of OpenTelemetry's
encoder."""
