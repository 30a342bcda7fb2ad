"""The overlays as kustomize makes them, against the schemas and against what the project promises."""

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
OVERLAYS = ("single", "scaled")
VERSION = "1.34"
KEDA = ROOT / ".run" / "k8s" / "node_modules"
ROLES = {"api", "worker", "webhooks", "flower"}


@cache
def rendered(overlay: str) -> list[dict[str, Any]]:
    """What kubectl's own kustomize makes of an overlay; no cluster is asked."""
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
    found: dict[str, Any] = workload["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_what_its_schema_asks_for(overlay: str) -> None:
    own = [each for each in rendered(overlay) if each["apiVersion"] != "keda.sh/v1alpha1"]
    assert len(own) > 15
    for each in own:
        kubernetes_validate.validate(each, VERSION, strict=True)


def test_what_the_schema_does_not_know_is_refused() -> None:
    """The validator is worth its name: a typo does not pass."""
    api = json.loads(json.dumps(workloads("single")["api"]))
    pod(api)["terminationGracePeriodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(api, VERSION, strict=True)


@pytest.mark.parametrize(("change", "passes"), [({}, True), ({"maxReplicaCount": "many"}, False)])
def test_the_scaled_object_is_what_kedas_schema_asks_for(change: dict[str, str], *, passes: bool) -> None:
    scaled = of_kind("scaled", "ScaledObject")["worker"]
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


def test_workers_are_scaled_by_a_figure_that_the_api_tells_and_by_nothing_else() -> None:
    scaled = of_kind("scaled", "ScaledObject")["worker"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in workloads("scaled")
    assert "replicas" not in workloads("scaled")["worker"]["spec"], "an apply would undo what KEDA did"
    source = (ROOT / "api" / "routes" / "metrics.py").read_text("utf-8")
    for trigger in scaled["spec"]["triggers"]:
        (name,) = re.findall(r"sentiq_\w+", trigger["metadata"]["query"])
        assert f'"{name}"' in source


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nobody_is_root_writes_to_the_root_or_has_capabilities(overlay: str) -> None:
    assert set(workloads(overlay)) == ROLES | ({"redis"} if overlay == "single" else set())
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
def test_everything_is_probed_bounded_and_spared(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget").values()
    spared = {each["spec"]["selector"]["matchLabels"]["app"] for each in budgets}
    for name, workload in workloads(overlay).items():
        assert name in spared or name == "flower", "only Flower may be away at any time"
        for container in pod(workload)["containers"]:
            assert {"livenessProbe", "readinessProbe"} <= set(container)
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_stop_waits_longer_than_what_is_under_way_may_take(overlay: str) -> None:
    limits = Settings.model_fields
    grace = {name: pod(each)["terminationGracePeriodSeconds"] for name, each in workloads(overlay).items()}
    assert grace["worker"] > limits["task_time_limit_s"].default
    assert grace["api"] > limits["max_wait_s"].default + 5, "and the pause before the stop"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_is_one_that_there_is(overlay: str) -> None:
    known = set(Settings.variables().values()) | {"FLOWER_LOGIN"}
    named = set(of_kind(overlay, "ConfigMap")["settings"]["data"])
    for name in ROLES:
        for container in pod(workloads(overlay)[name])["containers"]:
            named |= {variable["name"] for variable in container["env"]}
    assert named <= known


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_reaches_anything_that_is_not_named(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    assert policies["deny-all"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert set(policies["to-redis"]["spec"]["podSelector"]["matchExpressions"][0]["values"]) == ROLES
    for policy in policies.values():
        for rule in policy["spec"].get("ingress", ()):
            assert rule["from"], "an empty rule lets everybody in"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_and_claims_lead_somewhere(overlay: str) -> None:
    apps = {each["spec"]["selector"]["matchLabels"]["app"] for each in workloads(overlay).values()}
    services = of_kind(overlay, "Service")
    assert {each["spec"]["selector"]["app"] for each in services.values()} <= apps
    for workload in workloads(overlay).values():
        for volume in pod(workload)["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert claim["claimName"] in of_kind(overlay, "PersistentVolumeClaim")
            if config := volume.get("configMap"):
                assert config["name"] in of_kind(overlay, "ConfigMap"), "its name holds its hash"
