"""docker-compose.yml is checked by the schema of Compose files; no container is run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from backends.program import BIN, CONFIG, require

COMPOSE = CONFIG / "docker-compose.yml"
PORT = re.compile(r"127\.0\.0\.1:\$\{HELIOGRAPH_[A-Z_]+_PORT:-\d+\}:\d+")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return loaded


def test_compose_file_follows_the_schema() -> None:
    """Every key and value is one that the specification has."""
    require("compose-schema")
    schema = json.loads((BIN / "compose-schema").read_text())

    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(COMPOSE.read_text()))


def test_images_have_the_versions_of_the_programs(services: dict[str, Any]) -> None:
    """Each image is pinned by a variable of versions.env."""
    names = re.findall(r"^(\w+)=", (CONFIG / "versions.env").read_text(), flags=re.MULTILINE)

    for service in services.values():
        [version] = re.findall(r":v?\$\{(\w+):\?use --env-file versions\.env\}$", service["image"])
        assert version in names


def test_every_port_is_on_loopback(services: dict[str, Any]) -> None:
    """No port is published to other machines."""
    ports = [port for service in services.values() for port in service["ports"]]

    assert ports
    assert all(PORT.fullmatch(port) for port in ports)


def test_mounted_files_exist(services: dict[str, Any]) -> None:
    """Folders and files that the containers read are in the folder."""
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith(".") or (CONFIG / source).is_dir(), volume
        assert "env_file" not in service or (CONFIG / service["env_file"]).is_file()


def test_prometheus_has_the_flags_of_the_script(services: dict[str, Any]) -> None:
    """The container and start.sh start Prometheus with the same features."""
    script = shlex.split((CONFIG / "start.sh").read_text(), comments=True)
    flags = [flag for flag in services["prometheus"]["command"] if "path" not in flag and "config" not in flag]

    assert flags
    assert set(flags) <= set(script)


def test_jaeger_accepts_its_overlay(tmp_path: Path) -> None:
    """Jaeger validates its configuration with the overlay of the containers."""
    require("jaeger")
    configs = [f"--config={CONFIG / 'jaeger' / name}" for name in ("jaeger.yaml", "compose.yaml")]

    checked = subprocess.run(
        [BIN / "jaeger", "validate", *configs], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 0, checked.stderr
