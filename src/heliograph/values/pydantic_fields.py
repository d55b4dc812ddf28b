"""Read the declared fields of pydantic's models and dataclasses, without importing pydantic and without running its code.

Source: pydantic 2 (`FieldInfo` in ``__pydantic_fields__``; ``model_fields`` before 2.10) and pydantic 1 (``__fields__``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from heliograph.values.generics import annotated

_FIELDS: Final = ("__pydantic_fields__", "model_fields", "__fields__")
_SECRETS: Final = frozenset({"SecretStr", "SecretBytes", "Secret", "_SecretBase", "_SecretField"})
_PACKAGE: Final = "pydantic"


def is_model(cls: type) -> bool:
    """Return True if a class is a pydantic model, whose fields are not those of a dataclass."""
    return any(each.__name__ == "BaseModel" and is_from_pydantic(each) for each in cls.__mro__)


def is_from_pydantic(cls: type) -> bool:
    """Return True if pydantic itself defines a class."""
    return cls.__module__.partition(".")[0] == _PACKAGE


def is_secret(cls: object) -> bool:
    """Return True if a class is one of pydantic's that hide a secret, or is built on one."""
    return isinstance(cls, type) and any(each.__name__ in _SECRETS and is_from_pydantic(each) for each in cls.__mro__)


def fields_of(cls: type) -> Mapping[str, Any]:
    """Return pydantic's descriptions of the fields of a class, inherited ones included; an empty dict for other classes."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for attribute in reversed(_FIELDS):
            fields = vars(base).get(attribute)
            if isinstance(fields, dict):
                found |= {name: each for name, each in fields.items() if _is_description(each)}
    return found


def _is_description(field: object) -> bool:
    return is_from_pydantic(type(field))


def in_annotation(metadata: Iterator[object] | tuple[object, ...]) -> Any:
    """Return the first ``Field(…)`` among the metadata of an annotation, or `None`."""
    return next((each for each in metadata if type(each).__name__ == "FieldInfo" and _is_description(each)), None)


def is_excluded(field: object) -> bool:
    """Return True if a field is not, or not always, part of what pydantic writes.

    ``exclude_if`` is a function of the program, which is not called: such a field counts as excluded.
    """
    info = getattr(field, "field_info", field)  # pydantic 1 wraps it
    return bool(getattr(info, "exclude", None)) or getattr(info, "exclude_if", None) is not None


def is_hidden(field: object) -> bool:
    """Return True if a field is declared with ``repr=False``, so that its value is not shown."""
    return getattr(getattr(field, "field_info", field), "repr", True) is False


def annotation_of(field: object) -> object:
    """Return the annotation of a field with its constraints, or `None` if pydantic has not resolved its names.

    The type parameters of a generic model are resolved in it, those of a dataclass are not.
    """
    hint = getattr(field, "annotation", None)
    is_unresolved = hasattr(field, "field_info") or isinstance(hint, str) or "ForwardRef(" in repr(hint)
    return None if is_unresolved else annotated(hint, metadata_of(field))


def metadata_of(field: object) -> tuple[object, ...]:
    """Return the constraints and declarations that pydantic keeps beside the annotation of a field."""
    metadata = getattr(field, "metadata", ())
    return tuple(metadata) if isinstance(metadata, (list, tuple)) else ()
