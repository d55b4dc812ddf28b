"""Observers recognize a host by the registry of its schemas. (The tests of the Datasette plugin capture the events of a Datasette.)"""

from __future__ import annotations

import pytest

from heliograph import Event, Host
from heliograph.testing.sources import registry_of


def test_registry_of_a_host() -> None:
    with Host() as first, Host() as second:
        assert registry_of(first) is first.schemas
        assert registry_of(second) is not first.schemas


@pytest.mark.parametrize(("other", "name"), [(None, "None"), (Event, "heliograph.events.Event"), (1, "builtins.int")])
def test_anything_else_is_an_error(other: object, name: str) -> None:
    with pytest.raises(TypeError, match=rf"a Datasette is needed, not {name}; write capture\(host\)"):
        registry_of(other)
