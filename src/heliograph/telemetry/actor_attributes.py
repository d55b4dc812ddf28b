"""Export an actor as attributes: which of its keys, with which privacy, under which names.

The attributes `user.*` have one type each, whatever an actor holds: `user.roles` is an array of strings, and every other one is
a string. A value of another type is exported as its JSON text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from heliograph.classes import qualified_name
from heliograph.events import Attribute, Privacy
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import (
    ACTOR,
    ACTOR_ATTRIBUTES,
    ACTOR_SECRETS,
    SCOPE,
    TOKEN_HANDLER,
    TOKEN_ID,
    USER_HASH,
    USER_ID,
    USER_ROLES,
    actor_attribute,
)
from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import MAX_KEYS, Attributes, add_attributes
from heliograph.values.forms import form_of, protected_form_of
from heliograph.values.privacy import DROPPED, PrivacyPolicy
from heliograph.values.scalars import SCALARS
from heliograph.values.standard_library import MAX_VALUES
from heliograph.values.text import escape_surrogates, to_json

TOKEN_ID_KEY: Final = "token_id"  # noqa: S105 — the name of a key
"""The key of an actor with the id of the token that it was authenticated by."""
MAX_TOKEN_ID_LENGTH: Final = 128
"""A longer text is no id of a token."""
NOT_EXPORTED: Final = ""
"""Used in place of the name of an attribute for a key of which nothing is exported."""

_EVERY_KEY: Final = "*"
# Dicts are slower with keys of a subclass of str.
_TOKEN_ID: Final = str(TOKEN_ID)
_TOKEN_HANDLER: Final = str(TOKEN_HANDLER)
BUILT_IN_TOKENS: Final = {"dstok": "signed", "hgtok": "database"}
"""The names of the built-in handlers, by the key ``token`` of their actors. Others are learned when they verify a token."""
_MAX_TOKEN_HANDLERS: Final = 100
_ATTEMPTS: Final = 100
"""The number of times that an actor is read again after another thread changed it meanwhile. Each is unlikely."""

logger: Final = SafeLogger(SCOPE)


class ActorFilter:
    """Exports the keys of an actor that the setting ``HELIOGRAPH_ACTOR`` allows.

    The keys of `ACTOR_SECRETS` are never exported, at any depth of the actor, whatever the setting.

    Any number of threads may use one filter at once. After its construction it changes only in single steps: it remembers names of keys, and
    learns the names of token handlers.

    Args:
        keys: ``*`` exports every key. A name exports that key; ``name:mask``, ``name:hash`` and ``name:drop`` export it with
            that privacy; ``-name`` excludes it. Without keys, nothing is exported.
        policy: The privacy of a key that only ``*`` allows, and of private values inside an actor.

    Attributes:
        policy: The privacy policy.
        id_attribute: The attribute that the `id` of an actor becomes.
    """

    def __init__(self, keys: tuple[str, ...], policy: PrivacyPolicy | None = None) -> None:
        self.policy = policy or PrivacyPolicy()
        self._failures = LimitedLog(logger)
        allowed = {
            name: Attribute(privacy=Privacy(privacy or "plain"))
            for name, _, privacy in (key.partition(":") for key in keys if not key.startswith("-"))
        }
        if _EVERY_KEY not in allowed:
            self._default_declaration = Attribute(privacy=Privacy.DROP)
        elif allowed[_EVERY_KEY].privacy is Privacy.PLAIN:
            # `*` states no privacy, so the policy's default applies.
            self._default_declaration = Attribute()
        else:
            self._default_declaration = allowed[_EVERY_KEY]  # such as `*:hash`
        # Exclusions come last: neither a name nor `*` in the setting can bring back an excluded or secret key.
        excluded = {*ACTOR_SECRETS, TOKEN_ID_KEY, *(key[1:] for key in keys if key.startswith("-"))}
        self._declarations = allowed | dict.fromkeys(excluded, Attribute(privacy=Privacy.DROP))
        # Lookups in a dict are slower with keys or values of a subclass of str.
        self._verbatim_user_attributes = {
            key: str(name)
            for key, name in ACTOR_ATTRIBUTES.items()
            if name != USER_ROLES and self.privacy_of(key) is Privacy.PLAIN
        }
        self._verbatim_names_below_actor = _VerbatimNamesBelowActor(self)
        self._token_handlers = dict(BUILT_IN_TOKENS)
        is_hashed = self.privacy_of("id") is Privacy.HASH
        self._user_attributes = {key: str(name) for key, name in ACTOR_ATTRIBUTES.items()}
        self.id_attribute = USER_HASH if is_hashed else USER_ID
        self._user_attributes["id"] = str(self.id_attribute)

    def privacy_of(self, key: str) -> Privacy:
        """Return the privacy of the value under a key."""
        return self.policy.privacy_of(self._declarations.get(key, self._default_declaration), actor_attribute(key))

    def has_user_attribute(self, key: str) -> bool:
        """Return True if a key becomes an attribute `user.*`, such as `user.id`, and none below `heliograph.actor`."""
        return key in self._user_attributes

    def verbatim_name(self, key: str) -> str | None:
        """Return the attribute of a key if texts under that key are exported as they are.

        Returns:
            The name of the attribute; `NOT_EXPORTED` if nothing under the key is exported; `None` if its texts are masked, hashed or converted,
            or if the key cannot be part of a name.
        """
        return (
            self._verbatim_user_attributes.get(key)
            if key in self._user_attributes
            else self._verbatim_names_below_actor[key]
        )

    def put(self, attributes: Attributes, actor: object) -> None:
        """Add the exported part of an actor to the attributes.

        An actor that is not a mapping is exported as an id. An actor whose own code fails is not exported. Keys that are not strings are
        not exported either: nobody can know if such a key, an enum member for example, means a secret.
        """
        if type(actor) is not dict:
            actor = self._as_dict(actor)
        others: list[tuple[str, object]] = []
        # The items are copied, because another thread may change the actor meanwhile.
        for key, value in list(actor.items()):
            # This comes before the first lookup, which would call the key's own `__hash__` and `__eq__`.
            if type(key) is not str:
                # Start again, without the keys that are not strings.
                self.put(attributes, self._as_dict(actor))
                return
            name = self._verbatim_user_attributes.get(key)
            if name is not None and type(value) is str and value.isascii():
                # This is the usual case, without the general path below.
                attributes[name] = value
            elif name is not None or key in self._user_attributes:
                self.put_user_attribute(attributes, key, value)
            else:
                others.append((key, value))
        if others:
            self._put_below_actor(attributes, others)
        token_id = actor.get(TOKEN_ID_KEY)
        if token_id is not None:
            self.put_credential(attributes, token_id, actor.get("token"))

    def put_user_attribute(self, attributes: Attributes, key: str, value: object) -> None:
        """Add the value of a key that becomes an attribute `user.*`, such as `user.roles`."""
        form = self._exported_form(key, value)
        if form is not DROPPED and form is not None and form != {}:
            attributes[self._user_attributes[key]] = list(_texts(form)) if key == "roles" else str(form)

    def _put_below_actor(self, attributes: Attributes, items: list[tuple[str, object]]) -> None:
        """Add the values of keys that become attributes below `heliograph.actor`."""
        plain: Attributes = {}
        names: dict[str, str | None] = self._verbatim_names_below_actor
        for key, value in items:
            name, kind = names[key], type(value)
            # Most values are their own forms. To ask for them here saves two calls for each.
            # A value that is not exported has the name `NOT_EXPORTED`, which is removed below.
            if name is not None and ((kind is str and value.isascii()) or kind is bool):  # type: ignore[attr-defined]
                plain[name] = value  # type: ignore[assignment]  # a scalar
                continue
            to_form = SCALARS.get(id(kind))
            if name is not None and to_form is not None and value is not None:
                plain[name] = to_form(value)  # type: ignore[assignment]  # a scalar
            elif name != NOT_EXPORTED:
                self._put_any_below_actor(attributes, items)
                return
        plain.pop(NOT_EXPORTED, None)
        if len(plain) < MAX_KEYS:
            attributes.update(plain)
        else:
            self._put_any_below_actor(attributes, items)

    def _put_any_below_actor(self, attributes: Attributes, items: list[tuple[str, object]]) -> None:
        """Add the values of keys that become attributes below `heliograph.actor`, whatever the values are."""
        forms = {escape_surrogates(key): self._exported_form(key, value) for key, value in items}
        exported = {key: form for key, form in forms.items() if form is not DROPPED and form is not None}
        add_attributes(attributes, ACTOR, self.policy.without_opted_out(exported, ACTOR))

    def put_credential(self, attributes: Attributes, token_id: object, kind: object) -> None:
        """Add the token that the actor was authenticated by, whatever keys the setting allows: by it, the events of one token are found."""
        if type(token_id) is not str or len(token_id) > MAX_TOKEN_ID_LENGTH:
            return
        attributes[_TOKEN_ID] = escape_surrogates(token_id)
        handler = self._token_handlers.get(kind) if type(kind) is str else None
        if handler is not None:
            attributes[_TOKEN_HANDLER] = handler

    def learn_token_handler(self, kind: object, name: str) -> None:
        """Remember the name of the handler that gives its actors this ``token`` key. The number of names is bounded.

        (Threads that learn names at the same moment may exceed the bound, each by one.)
        """
        known = self._token_handlers
        if type(kind) is str and (kind in known or len(known) < _MAX_TOKEN_HANDLERS):
            known[kind] = name

    def _as_dict(self, actor: object) -> dict[str, object]:
        """Return an actor as a dict with plain keys; an empty one, with a line in the log, if the actor's own code fails."""
        try:
            # This asks for the actor's `__class__`, which may be a property that raises.
            if not isinstance(actor, Mapping):
                return {"id": actor}
            # `str.__str__` turns a key of a subclass of str, which may override its methods, into a plain str.
            return {str.__str__(key): value for key, value in _items(actor) if issubclass(type(key), str)}
        except program_errors() as error:
            report(ProgramCode.ACTOR, error)
            # The text of the exception is left out, because it may contain a private value.
            kind = qualified_name(error)
            self._failures.log(kind, "An actor cannot be read, so its events have none: %s", kind)
            return {}

    def portable(self, actor: object) -> dict[str, object]:
        """Return the part of an actor that another process needs to export the same attributes: forms, which JSON can carry.

        A value to be hashed is returned unhashed, because the other process hashes it. Keys that are not exported are omitted.
        """
        read = self._as_dict(actor)
        kept = {key: self._portable_form(key, value) for key, value in read.items()}
        token_id, kind = read.get(TOKEN_ID_KEY), read.get("token")
        if type(token_id) is str and len(token_id) <= MAX_TOKEN_ID_LENGTH:
            kept[TOKEN_ID_KEY] = token_id
            # Any other value of this key may be the token itself.
            kept["token"] = kind if type(kind) is str and kind in self._token_handlers else DROPPED
        return {escape_surrogates(key): form for key, form in kept.items() if form is not DROPPED and form is not None}

    def _portable_form(self, key: str, value: object) -> object:
        privacy = self.privacy_of(key)
        if privacy is Privacy.DROP:
            return DROPPED
        form = _without_secrets(protected_form_of(value, self.policy)[0])
        return self.policy.apply(privacy, form) if privacy is Privacy.MASK else form

    def put_user(self, attributes: Attributes, actor_id: object) -> None:
        """Add the exported part of an actor to the attributes, if only its id is known."""
        self.put(attributes, {"id": actor_id})

    def _exported_form(self, key: str, value: object) -> object:
        """Return the form of a value as its privacy allows it, or `DROPPED`."""
        privacy = self.privacy_of(key)
        if privacy is Privacy.DROP:
            # This comes before the form is computed, which may be expensive.
            return DROPPED
        form = _without_secrets(protected_form_of(value, self.policy)[0])
        if key in ACTOR_ATTRIBUTES and key != "roles" and form is not None and form != {} and not isinstance(form, str):
            form = to_json(form)
        return self.policy.apply(privacy, form)


class _VerbatimNamesBelowActor(AttributeNames):
    """The names below `heliograph.actor` of the keys whose values are exported as they are. A dropped key has the name `NOT_EXPORTED`."""

    __slots__ = ("_filter",)

    def __init__(self, actor_filter: ActorFilter) -> None:
        super().__init__(ACTOR)
        self._filter = actor_filter

    def name_of(self, key: str) -> str | None:
        """Return the name of a key that is not remembered, or `None` if its value cannot be exported as it is."""
        name = super().name_of(key)
        match self._filter.privacy_of(key):
            case Privacy.PLAIN:
                return name
            case Privacy.DROP:
                return None if name is None else NOT_EXPORTED
            case _:
                return None


def _texts(form: object) -> Iterator[str]:
    """Yield each role of an actor as text. A value that is no list is one role."""
    for item in form if isinstance(form, list) else [form]:
        if item is not None:
            yield str(item) if isinstance(item, str) else to_json(item)


def _items(actor: Mapping[object, object]) -> list[tuple[object, object]]:
    """Return the keys and values of an actor at one moment. It may be endless, and another thread may change it meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return list(itertools.islice(actor.items(), MAX_VALUES))
        except RuntimeError as error:
            if "during iteration" not in str(error):
                raise
    return list(itertools.islice(actor.items(), MAX_VALUES))


_SECRET_KEY: Final = re.compile(
    r'[\["]*({})["\]]*(#\d+)?'.format(
        "|".join(re.escape(str(form_of(key))) for name in sorted(ACTOR_SECRETS) for key in (name, name.encode()))
    )
)
"""The forms of keys that name a secret: as text, as bytes, inside of a tuple, and numbered after an equal key."""


def _without_secrets(form: object) -> object:
    if isinstance(form, dict):
        return {key: _without_secrets(value) for key, value in form.items() if not _SECRET_KEY.fullmatch(key)}
    if isinstance(form, list):
        return [_without_secrets(item) for item in form]
    return form
