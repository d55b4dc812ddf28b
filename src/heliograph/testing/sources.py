"""Find the object that observers recognize a host by: the registry of its schemas."""

from __future__ import annotations

import sys

from heliograph.classes import qualified_name
from heliograph.host import Host
from heliograph.schema.registry import SchemaRegistry


def registry_of(host: object) -> SchemaRegistry:
    """Return the registry of the schemas of a `heliograph.Host` or a `Datasette`.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(host, Host):
        return host.schemas
    # Without Datasette there are no objects of its classes, and nothing is imported.
    app = sys.modules.get("datasette.app")
    if app is not None and isinstance(host, app.Datasette):
        # Datasette is an optional dependency of the integration.
        from heliograph.integrations.datasette.instance_state import state_of

        return state_of(host).schemas
    name = None if host is None else qualified_name(host)
    raise TypeError(f"a heliograph.Host or a Datasette is needed, not {name}; write capture(host)")
