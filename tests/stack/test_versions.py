"""`versions.env` has the version of each program, and the files that have to repeat one agree with it."""

from __future__ import annotations

import re

import yaml

from backends.program import CONFIG
from stack.versions import versions

VERSIONS = versions()


def test_collector_is_built_from_components_of_one_release() -> None:
    """The distribution and each component in builder.yaml have the version of the Collector."""
    builder = yaml.safe_load((CONFIG / "builder.yaml").read_text())

    assert builder["dist"]["version"] == VERSIONS["COLLECTOR_VERSION"]
    components = [
        part["gomod"] for kind in ("receivers", "processors", "exporters", "extensions") for part in builder[kind]
    ]
    assert {component.split()[1] for component in components} == {f"v{VERSIONS['COLLECTOR_VERSION']}"}


def test_jaegers_module_has_the_pinned_version() -> None:
    """The Go module that builds Jaeger requires the pinned version."""
    required = re.findall(r"github.com/jaegertracing/jaeger (v\S+)", (CONFIG / "jaeger" / "go.mod").read_text())

    assert required == [f"v{VERSIONS['JAEGER_MODULE_VERSION']}"]


def test_kafkas_libraries_have_the_pinned_version() -> None:
    """The file that names Kafka's Java libraries requires the pinned version."""
    pom = (CONFIG / "kafka" / "pom.xml").read_text()
    required = re.findall(r"<artifactId>kafka_2\.13</artifactId>\s*<version>(\S+)</version>", pom)

    assert required == [VERSIONS["KAFKA_VERSION"]]


def test_each_version_is_whole() -> None:
    """A version has three numbers, so that an image or a module of this version is always the same."""
    assert VERSIONS
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in VERSIONS.values())
