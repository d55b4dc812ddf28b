"""A reference to a bound method lives as long as the object, and keeps nothing alive."""

from __future__ import annotations

import gc
import weakref

from heliograph.runtime.weak_methods import weak_method


def test_method_is_found_as_long_as_its_object_lives() -> None:
    values: list[int] = []

    class Owner:
        def add(self, value: int) -> None:
            values.append(value)

    owner = Owner()
    reference = weak_method(owner.add)
    gc.collect()
    found = reference()
    assert found is not None
    found(1)
    del found, owner
    gc.collect()

    assert (values, reference()) == ([1], None)


def test_function_is_not_kept_alive() -> None:
    """A function that lives keeps its module, and all that the module has."""

    class Owner:
        def method(self) -> None: ...

    reference, function = weak_method(Owner().method), weakref.ref(Owner.method)
    del Owner
    gc.collect()

    assert (function(), reference()) == (None, None)
