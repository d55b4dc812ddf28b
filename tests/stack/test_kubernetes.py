"""kubernetes/ is rendered by kustomize, and checked by the schemas of Kubernetes and against the files it uses; no cluster is run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from backends.program import BIN, CONFIG, require
from stack.configurations import COLLECTORS, OTELCOL
from stack.versions import versions

COLLECTOR = "otel/opentelemetry-collector-contrib"
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    """Render everything that `kubectl apply -k` would apply."""
    require("kustomize")
    command = [BIN / "kustomize", "build", CONFIG / "kubernetes"]
    rendered = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


def of_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    """Return the manifests of some kinds, by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] in kinds}


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    """Yield the specification of each pod."""
    for workload in of_kind(manifests, "DaemonSet", "StatefulSet").values():
        yield workload["spec"]["template"]["spec"]


def test_each_manifest_follows_the_schema(manifests: list[Manifest]) -> None:
    """Every key and value is one that the oldest version of Kubernetes that the tests know has."""
    schemas = pytest.importorskip("kubernetes_validate")
    for manifest in manifests:
        schemas.validate(manifest, versions()["KUBERNETES_VERSION"], strict=True)

    assert len(of_kind(manifests, "DaemonSet", "StatefulSet", "ConfigMap")) == 4


def test_everything_is_in_one_namespace(manifests: list[Manifest]) -> None:
    """The names by which pods find each other are names of one namespace."""
    named = {manifest["metadata"].get("namespace") for manifest in manifests if manifest["kind"] != "Namespace"}

    assert named == set(of_kind(manifests, "Namespace"))


def test_images_have_the_versions_of_the_programs(manifests: list[Manifest]) -> None:
    """Each image is pinned, to the version in versions.env."""
    images = {
        container["image"]
        for pod in pods(manifests)
        for container in (*pod["containers"], *pod.get("initContainers", ()))
    }

    pinned = versions()
    assert images == {f"{COLLECTOR}:{pinned['COLLECTOR_VERSION']}", f"busybox:{pinned['BUSYBOX_VERSION']}"}


def test_configurations_are_the_files_of_the_collector(manifests: list[Manifest]) -> None:
    """A ConfigMap has the files as they are, and each Collector is started with overlays that are validated."""
    maps = of_kind(manifests, "ConfigMap")

    for pod in pods(manifests):
        [container] = pod["containers"]
        [volume] = [volume for volume in pod["volumes"] if "configMap" in volume]
        data = maps[volume["configMap"]["name"]]["data"]
        names = [argument.removeprefix("--config=/etc/otelcol/") for argument in container["args"]]
        assert data == {name: (OTELCOL / name).read_text() for name in names}
        assert tuple(OTELCOL / name for name in names) in COLLECTORS.values()


def test_containers_are_limited(manifests: list[Manifest]) -> None:
    """Each has limits, no capabilities and a read-only file system. Only the one that gives a directory away is root."""
    for pod in pods(manifests):
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"]["drop"] == ["ALL"]
            assert {"cpu", "memory"} == container["resources"]["limits"].keys()
            assert ("runAsUser" in context) == (container["image"].startswith("busybox"))


def test_each_collector_is_asked_for_its_health_where_it_answers(manifests: list[Manifest]) -> None:
    """The probes ask the port of the health extension, which listens inside of the pod."""
    for pod in pods(manifests):
        [container] = pod["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        overlay = yaml.safe_load((OTELCOL / container["args"][-1].rpartition("/")[2]).read_text())
        assert overlay["extensions"]["health_check"]["endpoint"] == f"0.0.0.0:{ports['health']}"
        assert [container[probe]["httpGet"]["port"] for probe in PROBES] == ["health"] * 3


def test_queues_outlive_the_pods(manifests: list[Manifest]) -> None:
    """An agent keeps its queue on the node, and a gateway in a volume of its own."""
    agent = of_kind(manifests, "DaemonSet")["otelcol-agent"]["spec"]
    gateway = of_kind(manifests, "StatefulSet")["otelcol-gateway"]["spec"]

    assert [volume["name"] for volume in agent["template"]["spec"]["volumes"] if "hostPath" in volume] == ["queue"]
    assert [claim["metadata"]["name"] for claim in gateway["volumeClaimTemplates"]] == ["queue"]
    for pod in pods(manifests):
        [container] = pod["containers"]
        [variable] = [each["value"] for each in container["env"] if each["name"] == "HELIOGRAPH_COLLECTOR_QUEUE"]
        assert variable in [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "queue"]


def test_agents_know_all_gateways(manifests: list[Manifest]) -> None:
    """The list of the agents has the names of the pods that the StatefulSet makes, on the port that they listen on."""
    [(name, gateway)] = of_kind(manifests, "StatefulSet").items()
    service = of_kind(manifests, "Service")[gateway["spec"]["serviceName"]]["spec"]
    exporters = yaml.safe_load((OTELCOL / "kubernetes-agent.yaml").read_text())["exporters"]
    [port] = [port["port"] for port in service["ports"]]
    addresses = [f"{name}-{number}.{name}:{port}" for number in range(gateway["spec"]["replicas"])]

    assert service["clusterIP"] == "None"
    assert exporters["load_balancing"]["resolver"]["static"]["hostnames"] == addresses
    assert exporters["otlp_grpc/gateway"]["endpoint"] == f"dns:///{name}:{port}"


def test_services_and_policies_select_the_pods(manifests: list[Manifest]) -> None:
    """Each service and each policy is for a workload of the same name, and names ports that it has."""
    workloads = of_kind(manifests, "DaemonSet", "StatefulSet")
    services, policies = of_kind(manifests, "Service"), of_kind(manifests, "NetworkPolicy")

    assert services.keys() == policies.keys() == workloads.keys()
    for name, workload in workloads.items():
        template = workload["spec"]["template"]
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert services[name]["spec"]["selector"] == template["metadata"]["labels"]
        assert policies[name]["spec"]["podSelector"]["matchLabels"] == template["metadata"]["labels"]
        assert {port["targetPort"] for port in services[name]["spec"]["ports"]} <= ports
        assert {port["port"] for rule in policies[name]["spec"]["ingress"] for port in rule["ports"]} <= ports
