"""Which of an actor's keys leave, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heliograph.schema.values import Attributes, plain, put, to_json
from heliograph.semconv import ACTOR, ACTOR_ATTRIBUTES, ACTOR_SECRETS

_NAMES: Final = {key: str(name) for key, name in ACTOR_ATTRIBUTES.items()}  # dicts are slow with subclasses of str


class ActorFilter:
    """Puts an actor into attributes, by the setting ``HELIOGRAPH_ACTOR``.

    Args:
        keys: ``*`` for every key, a name to add it, ``-name`` to take it away; none: no key leaves. `token`,
            `token_expires` and `_r` never do.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._all = "*" in keys
        self._added = frozenset(key for key in keys if not key.startswith("-")) - ACTOR_SECRETS
        self._taken_away = frozenset(key[1:] for key in keys if key.startswith("-")) | ACTOR_SECRETS

    def allows(self, key: object) -> bool:
        """Whether the key may leave."""
        return (self._all or key in self._added) and key not in self._taken_away

    def put(self, attributes: Attributes, actor: object) -> None:
        """Put what may leave of the actor into the attributes; an actor that is no mapping counts as its id.

        Keys that are not text are left out: which of them would be a secret, nobody can say.
        """
        if type(actor) is not dict:
            actor = self._as_dict(actor)
        others = {}
        for key, value in list(actor.items()):  # another thread may change it meanwhile
            if type(key) is not str:
                self.put(attributes, self._as_dict(actor))
                return
            if not self.allows(key):
                continue
            name = _NAMES.get(key)
            if name is None:
                others[key] = _without_secrets(plain(value))
            elif type(value) is str and value.isascii():
                attributes[name] = value
            elif value is not None:
                put(attributes, name, self.user_id(value) if key == "id" else _without_secrets(plain(value)))
        if others:
            put(attributes, ACTOR, others)

    @staticmethod
    def _as_dict(actor: object) -> dict[str, object]:
        if not isinstance(actor, Mapping):
            return {"id": actor}
        try:
            return {str.__str__(key): value for key, value in list(actor.items()) if isinstance(key, str)}
        except Exception:  # a mapping's own code may do anything
            return {"id": plain(actor)}

    @staticmethod
    def user_id(value: object) -> str:
        """An actor's id as `user.id`: text as it is, anything else in the form that it has in JSON."""
        form = plain(value)
        return form if isinstance(form, str) else to_json(form)


def _without_secrets(form: object) -> object:
    if isinstance(form, dict):
        return {key: _without_secrets(value) for key, value in form.items() if key not in ACTOR_SECRETS}
    return list(map(_without_secrets, form)) if isinstance(form, list) else form
