"""What may leave of a value: pure, and enforced where forms are made, before every way out.

A masked value is ``<masked>``, a hashed one ``hmac-sha256:`` and 64 hexadecimal digits, a dropped one is not there. What is
masked or hashed is the whole value, whatever is inside of it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from heliograph.events import Attribute, Privacy
from heliograph.semconv import SCOPE

MASKED: Final = "<masked>"
HASH_PREFIX: Final = "hmac-sha256:"
EVERYTHING: Final = "*"

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, order="sorted")

logger: Final = logging.getLogger(SCOPE)


class Protected(str):
    """What is left of a protected value: not to be protected again."""

    __slots__ = ()


class Dropped:
    """Stands for a value of which nothing leaves."""


DROPPED: Final = Dropped()


class PrivacyPolicy:
    """Decides what leaves of a field, and makes it.

    Args:
        key: The key of hashes; without one, what is to be hashed is dropped, with one warning.
        default: What leaves of a field that says nothing.
        opt_in: The names of the attributes with the requirement ``opt_in`` that leave; ``*`` is all of them.
    """

    def __init__(
        self, *, key: str | None = None, default: Privacy = Privacy.PLAIN, opt_in: tuple[str, ...] = ()
    ) -> None:
        self.default = default
        self._key = None if key is None else key.encode(errors="surrogateescape")
        self._opt_in = frozenset(opt_in)
        self._warned = False

    def privacy_of(self, said: Attribute, name: str | None, *, enclosing: Privacy | None = None) -> Privacy:
        """What leaves of a field.

        Args:
            said: What the field says.
            name: The name of its attribute on the wire, where it has one.
            enclosing: What leaves of the value that the field is inside of, which holds where the field says nothing.
        """
        is_opt_in = said.requirement == "opt_in"
        if is_opt_in and not self._opt_in & {EVERYTHING, name}:
            return Privacy.DROP
        privacy = said.privacy or enclosing or (Privacy.PLAIN if is_opt_in else self.default)
        if privacy is Privacy.HASH and self._key is None:
            self._warn()
            return Privacy.DROP
        return privacy

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("HELIOGRAPH_PRIVACY_KEY is not set: what is to be hashed is dropped.")

    def apply(self, privacy: Privacy, form: object) -> object:
        """What leaves of a form: the form, a `Protected` text, or `DROPPED`; of `None`, `None`."""
        if privacy is Privacy.PLAIN or form is None or isinstance(form, Protected):
            return form
        if privacy is Privacy.MASK:
            return Protected(MASKED)
        return self.hash_form(form) if privacy is Privacy.HASH else DROPPED

    def hash_form(self, form: object) -> Protected:
        """The hash of a form: of a text itself, of anything else its JSON."""
        data = form.encode(errors="surrogatepass") if isinstance(form, str) else _ENCODER.encode(form)
        return Protected(HASH_PREFIX + hmac.new(self._key or b"", data, hashlib.sha256).hexdigest())

    def is_hashed(self, said: Attribute) -> bool:
        """Whether a field inside of a value is hashed: as a whole, so that two values of one hash are one."""
        return self.privacy_of(said, said.name, enclosing=Privacy.PLAIN) is Privacy.HASH

    def protect_fields(
        self,
        form: Mapping[str, object],
        declared: Mapping[str, Attribute],
        *,
        enclosing: Privacy | None = Privacy.PLAIN,
    ) -> dict[str, object]:
        """What leaves of an object's form, by what its class declares of its fields; ``enclosing`` is as in `privacy_of`."""
        kept: dict[str, object] = {}
        for name, value in form.items():
            attribute = declared.get(name, Attribute())
            left = self.apply(self.privacy_of(attribute, attribute.name, enclosing=enclosing), value)
            if left is not DROPPED:
                kept[name] = left
        return kept
