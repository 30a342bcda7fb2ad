"""Prometheus reaches everything that has figures."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from ops.containers import Project
from ops.processes import ROOT
from tests.conftest import eventually
from tests.containers.conftest import WORKERS

pytestmark = pytest.mark.skipif(
    not (ROOT / "ops" / "prometheus" / "prometheus.yml").is_file(), reason="there is no ops/prometheus"
)


def test_all_targets_are_up(stack: Project) -> None:
    stack.compose("--profile", "monitoring", "up", "--detach", "--no-build", "prometheus")
    with httpx2.Client(base_url=f"http://127.0.0.1:{stack.env['PROMETHEUS_PORT']}", trust_env=False) as http:

        def targets() -> list[dict[str, Any]]:
            try:
                found: list[dict[str, Any]] = http.get("/api/v1/targets").json()["data"]["activeTargets"]
            except httpx2.TransportError:
                return []
            up = [target for target in found if target["health"] == "up"]
            return up if len(up) == len(found) > WORKERS else []

        ports = [
            target["scrapeUrl"].split(":")[2].split("/")[0] for target in eventually(targets, within_s=90)
        ]
    assert (ports.count("8000"), ports.count("9540")) == (1, WORKERS)
