"""Encode the exported part of actors, for events that are encoded (`heliograph.telemetry.encoded_events`).

Most values of an actor are texts. The bytes before them are remembered for each key, so that a text costs one look-up. `ActorFilter` decides
what is exported, and reads every other value. Both ways give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from heliograph.schema.read.generated.key_values import KeyValueEncoder
from heliograph.telemetry.actor_attributes import NOT_EXPORTED, TOKEN_ID_KEY, ActorFilter
from heliograph.values.attribute_names import MAX_REMEMBERED
from heliograph.values.attributes import MAX_KEYS, Attributes
from heliograph.values.scalars import INT64_MAX, INT64_MIN

_KeyEncoding: TypeAlias = "tuple[bool, Mapping[int, bytes] | None, Mapping[bool, bytes], Mapping[int, bytes]]"
"""The facts that are remembered of a key of actors.

The items are: True if the key becomes an attribute `user.*`, of which only texts are exported as they are; the bytes
before a text, by its size in UTF-8, or `None` if `ActorFilter` has to read each value; and the encoded attributes by their values, for
booleans and for integers. It is a plain tuple, because a named one takes longer to read than the rest of its use.
"""

_ENCODING_OF_NOTHING: Final[_KeyEncoding] = (False, None, {}, {})


class _KeyEncodings(dict[str, "_KeyEncoding | None"]):
    """The keys of actors; `None` for one that is not remembered. It is emptied when it is full: keys may come from outside."""

    __slots__ = ("_encoder", "_filter")

    def __init__(self, actor_filter: ActorFilter, encoder: KeyValueEncoder) -> None:
        super().__init__()
        self._filter = actor_filter
        self._encoder = encoder

    def __missing__(self, key: str) -> _KeyEncoding | None:
        is_user_attribute, name = self._filter.has_user_attribute(key), self._filter.verbatim_name(key)
        if name is None and not is_user_attribute:
            # Such a key is not remembered, because it may be of any length.
            return None
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        found = self[key] = self._new(name, is_user_attribute=is_user_attribute)
        return found

    def _new(self, name: str | None, *, is_user_attribute: bool) -> _KeyEncoding:
        if name is None:
            return is_user_attribute, None, {}, {}
        if name == NOT_EXPORTED:
            return _ENCODING_OF_NOTHING
        return is_user_attribute, self._encoder.texts(name), self._encoder.booleans(name), self._encoder.integers(name)


class EncodedActors:
    """Encodes actors. Any number of threads may use it at once.

    Args:
        actor_filter: Selects the keys that are exported.
        encoder: Encodes attributes.
    """

    def __init__(self, actor_filter: ActorFilter, encoder: KeyValueEncoder) -> None:
        self._filter = actor_filter
        self._encoder = encoder
        self._key_encodings: dict[str, _KeyEncoding | None] = _KeyEncodings(actor_filter, encoder)

    def put(self, key_values: list[bytes], actor: object) -> bool:
        """Append the exported part of an actor. Return False, and append nothing, if it has to be exported as attributes."""
        if type(actor) is not dict:
            return False
        before = len(key_values)
        try:
            # The actor is copied, because another thread may change it meanwhile.
            is_encoded = self._encode(key_values, actor.copy())
        except ValueError:
            # There are lone surrogates, or attributes that have to be together with those of the whole event.
            is_encoded = False
        if not is_encoded:
            del key_values[before:]
        return is_encoded

    def _encode(self, key_values: list[bytes], actor: dict[object, object]) -> bool:
        """Append the exported part of an actor. Return False if it has to be exported as attributes: some may be appended then."""
        # As `ActorFilter` puts them: first the attributes `user.*`.
        others: list[bytes] = []
        encodings = self._key_encodings
        for key, value in actor.items():
            # The class first: the look-up would call a key's own __hash__ and __eq__.
            found = encodings[key] if type(key) is str else None
            if found is None:
                return False
            is_user_attribute, texts, booleans, integers = found
            kind = type(value)
            if kind is str and texts is not None:
                data = value.encode()  # type: ignore[attr-defined]
                (key_values if is_user_attribute else others).append(texts[len(data)] + data)
            elif is_user_attribute:
                self._put_user_attribute(key_values, key, value)  # type: ignore[arg-type]
            elif kind is bool and texts is not None:
                others.append(booleans[value])  # type: ignore[index]
            elif kind is int and texts is not None and INT64_MIN <= value <= INT64_MAX:  # type: ignore[operator]
                others.append(integers[value])  # type: ignore[index]
            elif found is not _ENCODING_OF_NOTHING:
                return False
        if others:
            if len(others) >= MAX_KEYS:
                return False
            key_values += others
        if TOKEN_ID_KEY in actor:
            self._put_credential(key_values, actor)
        return True

    def _put_user_attribute(self, key_values: list[bytes], key: str, value: object) -> None:
        attributes: Attributes = {}
        self._filter.put_user_attribute(attributes, key, value)
        self._encoder.put(key_values, attributes)

    def _put_credential(self, key_values: list[bytes], actor: dict[object, object]) -> None:
        attributes: Attributes = {}
        self._filter.put_credential(attributes, actor[TOKEN_ID_KEY], actor.get("token"))
        self._encoder.put(key_values, attributes)
