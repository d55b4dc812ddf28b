"""Each `Datasette` object has a state of its own, which is freed with it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from heliograph.integrations.datasette.instance_state import state_of


class Instance:
    """The part of a Datasette that the state reads."""

    def __init__(self, **config: Any) -> None:
        self.config = config

    def plugin_config(self, plugin_name: str) -> dict[str, Any]:
        return self.config if plugin_name == "heliograph" else {}


def test_state_is_created_once_for_each_instance() -> None:
    """The configuration is read by the first call only: the schemas would be lost otherwise."""
    one, other = Instance(namespace="one"), Instance(namespace="other")

    state = state_of(one)
    one.config["namespace"] = "changed"

    assert state_of(one) is state
    assert state_of(one).settings.namespace == "one"
    assert state_of(other).settings.namespace == "other"


def test_state_keeps_no_instance_alive() -> None:
    """Tests create many Datasettes in one process."""
    instance = Instance()
    state, reference = weakref.ref(state_of(instance)), weakref.ref(instance)

    del instance
    gc.collect()

    assert reference() is None
    assert state() is None
