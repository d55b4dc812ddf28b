"""Resolve the type parameters of classes, so that annotations say what they mean for one class or one alias.

``class UserCreated(Created[Secret])`` inherits the field ``obj: T`` from ``Created``. Its annotation means ``Secret`` there,
and a declaration inside of ``Secret`` holds as if the class had written it itself.

A parameter without an argument stays as it is. It means its default, its bound or its constraints, or else `Any`.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import typing_extensions

Bindings: typing.TypeAlias = Mapping[object, tuple[object, ...]]
"""The arguments of type parameters. A parameter for several types, a `TypeVarTuple`, has any number, every other has one."""

_NOT_A_BASE: Final = (typing.Generic, typing.Protocol, typing_extensions.Protocol)


def class_of(hint: object) -> type | None:
    """Return the class that a class, or an alias such as ``Box[int]``, refers to. Return `None` for anything else."""
    origin = typing.get_origin(hint) or hint
    return origin if isinstance(origin, type) else None


def annotations_of(
    hint: object, names: Iterable[str], *, arguments: tuple[object, ...] | None = None
) -> dict[str, object]:
    """Return the evaluated annotations of some fields of a class or alias, inherited ones included, with resolved parameters.

    `typing.get_type_hints` of the whole class would fail if any other annotation cannot be evaluated. Python 3.10 cannot
    evaluate ``"InitVar[int]"``, for example.

    Args:
        hint: The class or alias.
        names: The names of the fields.
        arguments: The arguments of the type parameters. `None` means those of the alias.

    Raises:
        Exception: One of the annotations cannot be evaluated. Any exception is possible.
    """
    cls = class_of(hint)
    if cls is None:
        return {}
    wanted = frozenset(names)
    # The bases of a typed dict are not in its `__mro__`, and its annotations include theirs.
    if typing_extensions.is_typeddict(cls):
        return _of_typed_dict(cls, typing.get_args(hint), wanted)
    bindings = _bindings_by_base(cls, typing.get_args(hint) if arguments is None else arguments)
    annotations: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        declared = {name: each for name, each in inspect.get_annotations(base).items() if name in wanted}
        if declared:
            annotations |= _evaluated(base, declared, bindings.get(base, {}))
    return annotations


def _of_typed_dict(cls: type, arguments: tuple[object, ...], wanted: frozenset[str]) -> dict[str, object]:
    own = {name: each for name, each in cls.__annotations__.items() if name in wanted}
    bindings = bind(parameters_of(cls), arguments)
    annotations: dict[str, object] = {}
    for base, base_arguments in _bases(cls, bindings):
        if typing_extensions.is_typeddict(base):  # pragma: no branch — only in Python 3.10, a base may be `dict`
            annotations |= _of_typed_dict(base, base_arguments, wanted)
            inherited = base.__annotations__
            own = {name: each for name, each in own.items() if name not in inherited or inherited[name] != each}
    return annotations | _evaluated(cls, own, bindings)


def _evaluated(base: type, declared: dict[str, object], bindings: Bindings) -> dict[str, object]:
    module = sys.modules.get(base.__module__)
    parameters = {each.__name__: each for each in getattr(base, "__type_params__", ())}
    stub = types.SimpleNamespace(__annotations__=declared)
    # `make_dataclass` writes "typing.Any" for a field without a type, wherever it is called.
    names = {"typing": typing, **(vars(module) if module else {})}
    hints = typing.get_type_hints(stub, names, parameters | dict(vars(base)), include_extras=True)
    return {name: substitute(hint, bindings) for name, hint in hints.items()}


def _bindings_by_base(cls: type, arguments: tuple[object, ...]) -> dict[type, Bindings]:
    """Return the arguments of the type parameters of a class and of each of its bases."""
    found: dict[type, Bindings] = {}
    queue = [(cls, arguments)]
    while queue:
        base, base_arguments = queue.pop(0)
        bindings = bind(parameters_of(base), base_arguments)
        known = found.get(base, {})
        # If a base is inherited twice with different arguments, either may be meant: a private one must not get lost.
        found[base] = bindings | {parameter: _either(known[parameter], bindings.get(parameter)) for parameter in known}
        queue += _bases(base, bindings)
    return found


def _either(first: tuple[object, ...], second: tuple[object, ...] | None) -> tuple[object, ...]:
    if second is None or first == second or len(first) != len(second):
        return first
    return tuple(typing.Union[pair] for pair in zip(first, second))


def _bases(cls: type, bindings: Bindings) -> Iterator[tuple[type, tuple[object, ...]]]:
    for base in vars(cls).get("__orig_bases__", cls.__bases__):
        origin = class_of(base)
        if origin is not None and origin not in _NOT_A_BASE and origin is not object:
            arguments = tuple(substitute(each, bindings) for each in typing.get_args(base))
            yield origin, arguments


def container_arguments(
    hint: object, arguments: tuple[object, ...] | None = None
) -> list[tuple[type, tuple[object, ...]]]:
    """Return the classes of the standard library that a container class is built on, with their arguments.

    Of ``class Tags(list[Secret])`` it is `list` with ``(Secret,)``. Nearer classes come first.

    Args:
        hint: The class or alias.
        arguments: The arguments of its type parameters. `None` means those of the alias.
    """
    cls = class_of(hint)
    found: list[tuple[type, tuple[object, ...]]] = []
    queue = [] if cls is None else [(cls, typing.get_args(hint) if arguments is None else arguments)]
    for base, base_arguments in queue:  # the loop adds to it
        parameters = parameters_of(base)
        if base_arguments and not parameters:
            found.append((base, base_arguments))
        else:
            queue += _bases(base, bind(parameters, base_arguments))
    return found


def is_generic(cls: type) -> bool:
    """Return True if a class has type parameters of its own."""
    return bool(parameters_of(cls))


def parameters_of(cls: type) -> tuple[Any, ...]:
    """Return the type parameters that a class has of its own."""
    parameters = getattr(cls, "__parameters__", None)
    if isinstance(parameters, tuple):
        return parameters
    # ``class Many(list[T])`` has them too, but `typing.Generic`, which would list them, is not among its bases.
    bases = vars(cls).get("__orig_bases__", ())
    return tuple(dict.fromkeys(each for base in bases for each in getattr(base, "__parameters__", ())))


def bind(parameters: tuple[Any, ...], arguments: tuple[object, ...]) -> dict[object, tuple[object, ...]]:
    """Return the arguments of each type parameter. A parameter that has no argument is absent."""
    bound: dict[object, tuple[object, ...]] = {}
    rest = list(arguments)
    for index, parameter in enumerate(parameters):
        if not rest:
            break
        count = len(rest) - (len(parameters) - index - 1) if _is_variadic(parameter) else 1
        bound[parameter] = tuple(rest[: max(count, 0)])
        del rest[: max(count, 0)]
    return bound


def _is_variadic(parameter: object) -> bool:
    # The class is in `typing` from Python 3.11 on, and in `typing_extensions` before.
    return type(parameter).__name__ == "TypeVarTuple"


def substitute(hint: Any, bindings: Bindings) -> object:
    """Return a hint with the arguments of type parameters in the place of these parameters."""
    if not bindings:
        return hint
    if _is_hashable(hint) and hint in bindings:
        return bindings[hint][0] if len(bindings[hint]) == 1 else hint
    parameters = getattr(hint, "__parameters__", ())
    if (isinstance(hint, type) and typing.get_origin(hint) is None) or not isinstance(parameters, tuple):
        # The parameters of a class itself are its own.
        return hint
    if not any(parameter in bindings for parameter in parameters):
        return hint
    arguments = [argument for parameter in parameters for argument in bindings.get(parameter, (parameter,))]
    return hint[tuple(arguments)]


def _is_hashable(hint: object) -> bool:
    return not typing.get_args(hint) and hint.__hash__ is not None


def annotated(hint: object, metadata: tuple[object, ...]) -> object:
    """Return a hint with metadata, as `Annotated` writes it, and the hint itself without metadata."""
    arguments: Any = (hint, *metadata)
    return operator.getitem(typing.Annotated, arguments) if metadata else hint


def is_open(hint: object) -> bool:
    """Return True if type parameters in a hint have no argument."""
    if typing.get_origin(hint) is None:
        return is_parameter(hint)
    return bool(getattr(hint, "__parameters__", ()))


def is_parameter(hint: object) -> bool:
    """Return True if a hint is a type parameter."""
    return type(hint).__name__ in {"TypeVar", "TypeVarTuple", "ParamSpec"}


def meaning_of(parameter: Any) -> object:
    """Return the type that a type parameter without an argument means."""
    default = getattr(parameter, "__default__", None)
    if default is not None and type(default).__name__ != "NoDefaultType":
        return default
    constraints = getattr(parameter, "__constraints__", ())
    if constraints:
        return functools.reduce(lambda first, second: typing.Union[first, second], constraints)
    bound = getattr(parameter, "__bound__", None)
    return Any if bound is None else bound
