"""The overlays as kustomize renders them, against the schemas and the promises of the project."""

from __future__ import annotations

import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tasks.settings import Settings

ROOT = Path(__file__).parent.parent.parent
OVERLAYS = ("single", "scaled", "models")
VERSION = "1.34"
KEDA = ROOT / ".run" / "k8s" / "node_modules"
ROLES = {"api", "worker", "webhooks", "flower"}
OTHERS = {"single": {"redis"}, "scaled": set[str](), "models": {"worker-emotions"}}
SCALED = [("scaled", "worker"), ("models", "worker"), ("models", "worker-emotions")]


@cache
def rendered(overlay: str) -> list[dict[str, Any]]:
    """Return the objects that kubectl's kustomize renders; no cluster is needed."""
    done = subprocess.run(
        ["kubectl", "kustomize", f"deploy/k8s/overlays/{overlay}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return list(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] in kinds}


def workloads(overlay: str) -> dict[str, dict[str, Any]]:
    return of_kind(overlay, "Deployment", "StatefulSet")


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_matches_its_schema(overlay: str) -> None:
    own = [each for each in rendered(overlay) if each["apiVersion"] != "keda.sh/v1alpha1"]
    assert len(own) > 15
    for each in own:
        kubernetes_validate.validate(each, VERSION, strict=True)


def test_a_field_that_the_schema_does_not_have_is_refused() -> None:
    """Without this, the test above could not fail on a typo."""
    api = json.loads(json.dumps(workloads("single")["api"]))
    pod(api)["terminationGracePeriodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(api, VERSION, strict=True)


@pytest.mark.parametrize(("overlay", "name"), SCALED)
@pytest.mark.parametrize(("change", "passes"), [({}, True), ({"maxReplicaCount": "many"}, False)])
def test_the_scaled_objects_match_kedas_schema(
    overlay: str, name: str, change: dict[str, str], *, passes: bool
) -> None:
    scaled = of_kind(overlay, "ScaledObject")[name]
    objects = [scaled | {"spec": scaled["spec"] | change}]
    done = subprocess.run(
        ["node", "tests/k8s/keda.cjs"],
        cwd=ROOT,
        env=os.environ | {"NODE_PATH": str(KEDA)},
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is passes, done.stderr


@pytest.mark.parametrize(("overlay", "name"), SCALED)
def test_workers_are_scaled_by_what_waits_for_their_own_model(overlay: str, name: str) -> None:
    scaled, workers = of_kind(overlay, "ScaledObject")[name], workloads(overlay)[name]
    assert scaled["spec"]["scaleTargetRef"]["name"] == name
    assert "replicas" not in workers["spec"], "an apply would undo what KEDA did"
    source = (ROOT / "api" / "output" / "store_collector.py").read_text("utf-8")
    for trigger in scaled["spec"]["triggers"]:
        (metric,) = re.findall(r"sentiq_\w+", trigger["metadata"]["query"])
        assert f'"{metric}"' in source
        labels = dict(re.findall(r'(\w+)="([^"]*)"', trigger["metadata"]["query"]))
        assert labels == {"model": served(workers), "class": trigger["name"]}


def test_every_scaled_object_is_tested() -> None:
    assert {(overlay, name) for overlay in OVERLAYS for name in of_kind(overlay, "ScaledObject")} == {*SCALED}


def served(workers: dict[str, Any]) -> str:
    """Return the model that a Deployment serves: its pods' label, which they read as a setting."""
    (container,) = pod(workers)["containers"]
    (name,) = (each for each in container["env"] if each["name"] == "SENTIMENT_MODEL_NAME")
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['model']"
    return str(workers["spec"]["template"]["metadata"]["labels"]["model"])


def test_the_workers_of_two_models_share_neither_selectors_nor_images() -> None:
    both = [each for name, each in workloads("models").items() if name.startswith("worker")]
    assert len({served(each) for each in both}) == len(both) == 2
    assert len({pod(each)["containers"][0]["image"] for each in both}) == 2
    budgets = [
        each for name, each in of_kind("models", "PodDisruptionBudget").items() if name.startswith("worker")
    ]
    for one in [*both, *budgets]:
        selector = one["spec"]["selector"]["matchLabels"].items()
        chosen = [each for each in both if selector <= each["spec"]["template"]["metadata"]["labels"].items()]
        assert len(chosen) == 1, "one pod with two budgets cannot be evicted"


def test_jobs_that_name_no_model_are_accepted_beside_a_second_model() -> None:
    default = of_kind("models", "ConfigMap")["settings"]["data"]["SENTIMENT_DEFAULT_MODEL"]
    assert default == served(workloads("models")["worker"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_container_is_root_writes_to_its_root_or_has_capabilities(overlay: str) -> None:
    assert set(workloads(overlay)) == ROLES | OTHERS[overlay]
    for workload in workloads(overlay).values():
        spec = pod(workload)
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] > 0
        assert not spec["automountServiceAccountToken"]
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_has_probes_limits_and_a_disruption_budget(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget").values()
    protected = [each["spec"]["selector"] for each in budgets]
    for name, workload in workloads(overlay).items():
        selector = workload["spec"]["selector"]
        assert selector in protected or name == "flower", "only Flower may be evicted at any time"
        for container in pod(workload)["containers"]:
            assert {"livenessProbe", "readinessProbe"} <= set(container)
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_grace_period_is_longer_than_the_longest_work(overlay: str) -> None:
    limits = Settings.model_fields
    grace = {name: pod(each)["terminationGracePeriodSeconds"] for name, each in workloads(overlay).items()}
    for name in (name for name in grace if name.startswith("worker")):
        assert grace[name] > limits["task_time_limit_s"].default
    assert grace["api"] > limits["max_wait_s"].default + 5, "and the pause before the stop"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_exists(overlay: str) -> None:
    known = set(Settings.variables().values()) | {"FLOWER_LOGIN"}
    named = set(of_kind(overlay, "ConfigMap")["settings"]["data"])
    for name in ROLES | OTHERS[overlay] - {"redis"}:
        for container in pod(workloads(overlay)[name])["containers"]:
            named |= {variable["name"] for variable in container["env"]}
    assert named <= known


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_named_connections_are_allowed(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert set(policies["to-redis"]["spec"]["podSelector"]["matchExpressions"][0]["values"]) == ROLES
    for policy in policies.values():
        for rule in policy["spec"].get("ingress", ()):
            assert rule["from"], "an empty rule allows all sources"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_claims_and_config_maps_refer_to_existing_objects(overlay: str) -> None:
    apps = {each["spec"]["selector"]["matchLabels"]["app"] for each in workloads(overlay).values()}
    services = of_kind(overlay, "Service")
    assert {each["spec"]["selector"]["app"] for each in services.values()} <= apps
    for workload in workloads(overlay).values():
        for volume in pod(workload)["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in of_kind(overlay, "PersistentVolumeClaim")
            if config := volume.get("configMap"):
                assert config["name"] in of_kind(overlay, "ConfigMap"), "its name contains its hash"
