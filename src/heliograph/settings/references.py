"""Resolve the references in the configuration of a plugin to environment variables and files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def resolve_references(config: object) -> object:
    """Return a plugin's configuration with its references replaced, as Datasette does.

    ``{"$env": NAME}`` becomes the value of an environment variable (`None` if it is not set), and ``{"$file": PATH}`` the
    text of a file, also inside of dicts and lists. All other values are unchanged.

    Raises:
        OSError: A file cannot be read.
    """
    if isinstance(config, Mapping):
        if config.keys() == {"$env"}:
            return os.environ.get(str(config["$env"]))
        if config.keys() == {"$file"}:
            return Path(str(config["$file"])).read_text()
        return {key: resolve_references(value) for key, value in config.items()}
    if isinstance(config, list):
        return [resolve_references(value) for value in config]
    return config
