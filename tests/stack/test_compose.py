"""The Compose files are checked by the schema of the specification and against the files that they use; no container is run."""

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

from backends.kafka import SERVER_PROPERTIES
from backends.program import BIN, CONFIG, require
from stack.compose import COMPOSE, KAFKA_OVERLAY, kafka_services
from stack.versions import versions

PORT = re.compile(r"127\.0\.0\.1:\$\{HELIOGRAPH_[A-Z_]+_PORT:-\d+\}:\d+")
WITHOUT_A_SHELL = {"otelcol", "otelcol-consumer", "victorialogs"}
WITHOUT_A_PORT = {"visitor", "kafka"}
SERVICES = kafka_services()


@pytest.fixture(params=SERVICES.values(), ids=SERVICES)
def service(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("file", [COMPOSE, KAFKA_OVERLAY], ids=lambda file: file.name)
def test_compose_file_follows_the_schema(file: Path) -> None:
    """Every key and value is one that the specification has."""
    require("compose-schema")
    schema = json.loads((BIN / "compose-schema").read_text())

    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize("file", [COMPOSE, KAFKA_OVERLAY], ids=lambda file: file.name)
def test_every_version_is_one_of_the_pinned_ones(file: Path) -> None:
    """Each image of others is pinned by a variable of versions.env, and so is everything that is downloaded."""
    images = re.findall(r"image: (?!heliograph-)(\S+.*)", file.read_text())

    assert images
    assert all(re.search(r":v?\$\{\w+:\?use --env-file versions\.env\}$", image) for image in images)
    assert set(re.findall(r"\$\{(\w+):\?use --env-file versions\.env\}", file.read_text())) <= versions().keys()


def test_every_port_is_on_loopback(service: dict[str, Any]) -> None:
    """No port is published to other machines."""
    assert all(PORT.fullmatch(port) for port in service.get("ports", ()))


def test_every_service_can_be_asked_for_its_health() -> None:
    """A service has a health check, or a published port where its image has no program for one."""
    without_check = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    without_port = {name for name, service in SERVICES.items() if "ports" not in service}

    assert without_check == WITHOUT_A_SHELL | {"visitor"}
    assert without_port == WITHOUT_A_PORT


def test_every_service_is_limited(service: dict[str, Any]) -> None:
    """A service has limits, no capabilities, and starts again after it has failed."""
    assert {"mem_limit", "cpus", "pids_limit"} <= service.keys()
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


def test_only_kafka_writes_outside_of_volumes() -> None:
    """The file systems of the other containers are read-only."""
    assert [name for name, service in SERVICES.items() if not service.get("read_only")] == ["kafka"]


def test_secrets_have_no_default() -> None:
    """Nothing starts without secrets that the operator has made, and no name or password is `admin`."""
    text = COMPOSE.read_text()
    secrets = re.findall(r"(\w*(?:PASSWORD|SECRET)): (.+)", text)

    assert {name for name, _ in secrets} == {"GF_SECURITY_ADMIN_PASSWORD", "HELIOGRAPH_SECRET", "DATASETTE_SECRET"}
    assert all(re.fullmatch(r"\$\{\w+:\?use --env-file secrets\.env\}", value) for _, value in secrets)
    assert not re.search(r":\s*admin\b", text)


def test_mounted_files_exist(service: dict[str, Any]) -> None:
    """Folders and files that the containers read are in the folder."""
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert not source.startswith(".") or (CONFIG / source).is_dir(), volume
    assert "env_file" not in service or (CONFIG / service["env_file"]).is_file()


def test_prometheus_has_the_flags_of_the_script() -> None:
    """The container and start.sh start Prometheus with the same features."""
    script = shlex.split((CONFIG / "start.sh").read_text(), comments=True)
    flags = [flag for flag in SERVICES["prometheus"]["command"] if "path" not in flag and "config" not in flag]

    assert flags
    assert set(flags) <= set(script)


def test_kafka_has_the_properties_of_the_file() -> None:
    """The container and start.sh start Kafka with the same properties, apart from its addresses and directory."""
    addresses = {"listeners", "advertised.listeners", "listener.security.protocol.map", "controller.quorum.voters"}
    variables = SERVICES["kafka"]["environment"].items()
    container = {name[6:].lower().replace("_", "."): value for name, value in variables if name != "KAFKA_HEAP_OPTS"}
    lines = [line.split("=", 1) for line in SERVER_PROPERTIES.read_text().splitlines() if re.match(r"\w", line)]
    script = {name: value for name, value in lines if not name.startswith("config.providers")}

    differences = {name for name in script.keys() | container.keys() if script.get(name) != container.get(name)}
    assert differences == addresses | {"log.dirs"}


def test_jaeger_accepts_its_overlay(tmp_path: Path) -> None:
    """Jaeger validates its configuration with the overlay of the containers."""
    require("jaeger")
    configs = [f"--config={CONFIG / 'jaeger' / name}" for name in ("jaeger.yaml", "compose.yaml")]

    checked = subprocess.run(
        [BIN / "jaeger", "validate", *configs], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 0, checked.stderr
