"""The Compose files, as data."""

from __future__ import annotations

from typing import Any

import yaml

from backends.program import CONFIG

COMPOSE = CONFIG / "docker-compose.yml"
KAFKA_OVERLAY = CONFIG / "docker-compose.kafka.yml"


def services() -> dict[str, dict[str, Any]]:
    """Return the services of docker-compose.yml, by name."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return loaded


def kafka_services() -> dict[str, dict[str, Any]]:
    """Return the services of both files, each with the keys that the overlay replaces."""
    overlay: dict[str, dict[str, Any]] = yaml.safe_load(KAFKA_OVERLAY.read_text())["services"]
    return {**services(), **{name: {**services().get(name, {}), **service} for name, service in overlay.items()}}
