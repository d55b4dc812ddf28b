"""`versions.env` has the version of each program, and the files that have to repeat one agree with it."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import yaml

from backends.program import CONFIG


@pytest.fixture(scope="module")
def versions() -> Mapping[str, str]:
    lines = (CONFIG / "versions.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_collector_is_built_from_components_of_one_release(versions: Mapping[str, str]) -> None:
    """The distribution and each component in builder.yaml have the version of the Collector."""
    builder = yaml.safe_load((CONFIG / "builder.yaml").read_text())

    assert builder["dist"]["version"] == versions["COLLECTOR_VERSION"]
    components = [
        part["gomod"] for kind in ("receivers", "processors", "exporters", "extensions") for part in builder[kind]
    ]
    assert {component.split()[1] for component in components} == {f"v{versions['COLLECTOR_VERSION']}"}


def test_jaegers_module_has_the_pinned_version(versions: Mapping[str, str]) -> None:
    """The Go module that builds Jaeger requires the pinned version."""
    required = re.findall(r"github.com/jaegertracing/jaeger (v\S+)", (CONFIG / "jaeger" / "go.mod").read_text())

    assert required == [f"v{versions['JAEGER_MODULE_VERSION']}"]


def test_kafkas_libraries_have_the_pinned_version(versions: Mapping[str, str]) -> None:
    """The file that names Kafka's Java libraries requires the pinned version."""
    pom = (CONFIG / "kafka" / "pom.xml").read_text()
    required = re.findall(r"<artifactId>kafka_2\.13</artifactId>\s*<version>(\S+)</version>", pom)

    assert required == [versions["KAFKA_VERSION"]]


def test_each_version_is_whole(versions: Mapping[str, str]) -> None:
    """A version has three numbers, so that an image or a module of this version is always the same."""
    assert versions
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
