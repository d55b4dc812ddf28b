"""Which of an actor's keys leave, in which form, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from heliograph.events import Attribute, Privacy
from heliograph.semconv import ACTOR, ACTOR_ATTRIBUTES, ACTOR_SECRETS
from heliograph.values.attributes import Attributes, add_attributes
from heliograph.values.forms import form_of, protected_form_of
from heliograph.values.privacy import DROPPED, PrivacyPolicy
from heliograph.values.text import escape_surrogates, to_json

_EVERY_KEY: Final = "*"


class ActorFilter:
    """Puts an actor into attributes, by the setting ``HELIOGRAPH_ACTOR``.

    Args:
        keys: ``*`` for every key, a name to add it, ``name:mask`` (or ``hash``, ``drop``) to add what may leave of it,
            ``-name`` to take it away; none: no key leaves. `token`, `token_expires` and `_r` never do.
        policy: What leaves of a key that nothing but ``*`` names, and of private values inside of an actor.
    """

    def __init__(self, keys: tuple[str, ...], policy: PrivacyPolicy | None = None) -> None:
        self._policy = policy or PrivacyPolicy()
        named = (key.partition(":")[::2] for key in keys if not key.startswith("-"))
        said = {key: Attribute(privacy=Privacy(privacy or "plain")) for key, privacy in named}
        self._others = Attribute() if _EVERY_KEY in said else Attribute(privacy=Privacy.DROP)
        if said.get(_EVERY_KEY, Attribute()).privacy not in {None, Privacy.PLAIN}:
            self._others = said[_EVERY_KEY]
        never = ACTOR_SECRETS | {key[1:] for key in keys if key.startswith("-")}
        self._said = said | dict.fromkeys(never, Attribute(privacy=Privacy.DROP))
        self._plain = {  # dicts are slow with subclasses of str
            key: str(name) for key, name in ACTOR_ATTRIBUTES.items() if self.privacy_of(key) is Privacy.PLAIN
        }

    def privacy_of(self, key: str) -> Privacy:
        """What may leave of a key's value."""
        return self._policy.privacy_of(self._said.get(key, self._others), None)

    def put(self, attributes: Attributes, actor: object) -> None:
        """Put what may leave of the actor into the attributes; an actor that is no mapping counts as its id.

        Keys that are not text are left out: which of them would be a secret, nobody can say.
        """
        if type(actor) is not dict:
            actor = self._as_dict(actor)
        others = {}
        for key, value in list(actor.items()):  # another thread may change it meanwhile
            name = self._plain.get(key)
            if name is not None and type(value) is str and value.isascii():
                attributes[name] = value
                continue
            if type(key) is not str:
                self.put(attributes, self._as_dict(actor))
                return
            left = self._left(key, value)
            if left is not DROPPED and left is not None:
                name = ACTOR_ATTRIBUTES.get(key)
                if name is None:
                    others[escape_surrogates(key)] = left
                else:
                    add_attributes(attributes, str(name), left)
        if others:
            add_attributes(attributes, ACTOR, others)

    def put_user(self, attributes: Attributes, actor_id: object) -> None:
        """Put what may leave of an actor's id into the attributes."""
        self.put(attributes, {"id": actor_id})

    def _left(self, key: str, value: object) -> object:
        privacy = self.privacy_of(key)
        if privacy is Privacy.DROP:
            return DROPPED
        form = _without_secrets(protected_form_of(value, self._policy)[0])
        if key == "id" and form is not None and not isinstance(form, str):
            form = to_json(form)  # `user.id` is text; an id of another type has the form that it has in JSON
        return self._policy.apply(privacy, form)

    @staticmethod
    def _as_dict(actor: object) -> dict[str, object]:
        if not isinstance(actor, Mapping):
            return {"id": actor}
        try:
            return {str.__str__(key): value for key, value in list(actor.items()) if isinstance(key, str)}
        except Exception:  # a mapping's own code may do anything
            return {"id": form_of(actor)}


def _without_secrets(form: object) -> object:
    if isinstance(form, dict):
        return {key: _without_secrets(value) for key, value in form.items() if key not in ACTOR_SECRETS}
    return list(map(_without_secrets, form)) if isinstance(form, list) else form
