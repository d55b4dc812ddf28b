"""Decide which part of a value is exported, and mask, hash or drop the rest.

A masked value is ``<masked>``, a hashed one ``hmac-sha256:`` and 64 hexadecimal digits, and a dropped one is absent. What is
masked or hashed is always the whole value, with everything inside of it.

Privacy is applied where forms are made (`heliograph.values.forms`), before any exporter can see a value. Text that is
already masked or hashed is marked by its class, `Protected`, so that no later step hashes a hash again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from heliograph.events import Attribute, Privacy
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

MASKED: Final = "<masked>"
"""The text that replaces a masked value."""
HASH_PREFIX: Final = "hmac-sha256:"
"""The beginning of the text that replaces a hashed value."""
EVERYTHING: Final = "*"
"""The entry of the setting ``opt_in`` that names all attributes."""

# Sorted, so that equal dicts have one hash, whatever their order.
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, order="sorted")

logger: Final = SafeLogger(SCOPE)


class Protected(str):
    """The text that replaces a masked or hashed value. It is never protected again."""

    __slots__ = ()


class Dropped:
    """The class of `DROPPED`."""


DROPPED: Final = Dropped()
"""Marks a value of which nothing is exported. `None` cannot mark it, because `None` is a value that can be exported."""


def _hasher(key: bytes) -> Callable[[bytes], str]:
    """Return a function that makes HMAC-SHA256 with a key. Source: RFC 2104, section 4 (the key's two blocks are hashed once, and copied).

    Any number of threads may call the function at once: it changes copies only.
    """
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_SIZE else key).ljust(_BLOCK_SIZE, b"\0")
    copy_of_inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block)).copy
    copy_of_outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy

    def hash_bytes(data: bytes) -> str:
        inner, outer = copy_of_inner(), copy_of_outer()
        inner.update(data)
        outer.update(inner.digest())
        return HASH_PREFIX + outer.hexdigest()

    return hash_bytes


_BLOCK_SIZE: Final = 64


class PrivacyPolicy:
    """Decides which part of a field's value is exported, and masks and hashes values.

    Args:
        key: The key of the hashes. Without it, a value that should be hashed is dropped, and one warning is logged.
        default: The privacy of a field that declares none.
        opt_in: The names of the attributes with the requirement ``opt_in`` that are exported. ``*`` names all of them.
        opt_out: The names of the attributes that are not exported, with all attributes below them.

    Attributes:
        default: The privacy of a field that declares none.
        opt_out: The names of the attributes that are not exported.
        hash_bytes: A function that returns the hash of bytes, as the text that is exported.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        default: Privacy = Privacy.PLAIN,
        opt_in: tuple[str, ...] = (),
        opt_out: tuple[str, ...] = (),
    ) -> None:
        self.default = default
        self.opt_out = opt_out
        self._has_key = key is not None
        self.hash_bytes = _hasher((key or "").encode(errors="surrogateescape"))
        self._opt_in = frozenset(opt_in)
        self._warned = False

    def privacy_of(self, declared: Attribute, name: str | None, *, enclosing: Privacy | None = None) -> Privacy:
        """Return the privacy that applies to a field.

        Args:
            declared: The declaration of the field.
            name: The name of its attribute on the wire, or `None` if it has no name of its own.
            enclosing: The privacy of the value that the field is inside of. It applies if the field declares none.
        """
        if self.opt_out and name is not None and self._is_opted_out(name):
            return Privacy.DROP
        is_opt_in = declared.requirement == "opt_in"
        if is_opt_in and not self._opt_in & {EVERYTHING, name}:
            return Privacy.DROP
        # To opt in to a field is to ask for its value, so the default does not apply to it.
        privacy = declared.privacy or enclosing or (Privacy.PLAIN if is_opt_in else self.default)
        # `==` and not `is`: a class in a field of type `Any`, which no schema has checked, may declare its privacy by a word.
        if privacy == Privacy.HASH and not self._has_key:
            # A hash without a key of a short value, such as an e-mail address, can be reversed by guessing.
            self._warn()
            return Privacy.DROP
        return privacy

    def without_opted_out(self, form: Mapping[str, object], name: str = "") -> dict[str, object]:
        """Return a dict without the keys, at any depth, whose attributes are not exported.

        Args:
            form: A form.
            name: The name of its attribute. If it is empty, the keys are names of attributes themselves.
        """
        if not self.opt_out:
            return dict(form)
        names = {key: f"{name}.{key}" if name else key for key in form}
        return {
            key: self.without_opted_out(value, names[key]) if isinstance(value, dict) else value
            for key, value in form.items()
            if not self._is_opted_out(names[key])
        }

    def _is_opted_out(self, name: str) -> bool:
        return any(name == each or name.startswith(f"{each}.") for each in self.opt_out)

    def _warn(self) -> None:
        # Two threads may both log it, which does no harm.
        if not self._warned:
            self._warned = True
            logger.warning("HELIOGRAPH_PRIVACY_KEY is not set: values that should be hashed are dropped.")

    def apply(self, privacy: Privacy, form: object) -> object:
        """Return the exported part of a form: the form itself, a `Protected` text, or `DROPPED`.

        A masked or hashed `None` stays `None`. A dropped one is dropped: its name alone would say that there is no value.
        """
        has_no_private_part = form is None or isinstance(form, Protected)
        match privacy:
            case Privacy.PLAIN:
                return form
            case Privacy.HASH:
                return form if has_no_private_part else self.hash_form(form)
            case Privacy.MASK:
                return form if has_no_private_part else Protected(MASKED)
            # DROP, or the mistake of a class that no schema has checked.
            case _:
                return DROPPED

    def hash_form(self, form: object) -> Protected:
        """Return the hash of a form: of the text itself if it is text, and of its JSON if it is anything else."""
        return Protected(self.hash_text(form))

    def hash_text(self, form: object) -> str:
        """Return the hash of a form as a plain `str`, as attributes need it."""
        data = form.encode(errors="surrogatepass") if isinstance(form, str) else _ENCODER.encode(form)
        return self.hash_bytes(data)

    def protect_fields(
        self,
        form: Mapping[str, object],
        declared: Mapping[str, Attribute],
        *,
        enclosing: Privacy | None = Privacy.PLAIN,
    ) -> dict[str, object]:
        """Return the exported part of an object's form.

        Args:
            form: The forms of its fields, by name.
            declared: The declarations of its fields, by name. A field without one declares nothing.
            enclosing: The privacy of the object itself, as in `privacy_of`.
        """
        exported: dict[str, object] = {}
        for name, value in form.items():
            attribute = declared.get(name, Attribute())
            part = self.apply(self.privacy_of(attribute, attribute.name, enclosing=enclosing), value)
            if part is not DROPPED:
                exported[name] = part
        return exported
