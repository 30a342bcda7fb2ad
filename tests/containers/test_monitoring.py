"""Prometheus in its container scrapes the API."""

from __future__ import annotations

from typing import Any

import httpx2

from deploy.containers import Project
from tests.conftest import eventually
from tests.containers.conftest import WORKERS


def test_all_targets_are_up_and_export_every_worker(stack: Project) -> None:
    stack.compose("--profile", "monitoring", "up", "--detach", "--no-build", "prometheus")
    with httpx2.Client(base_url=f"http://127.0.0.1:{stack.env['PROMETHEUS_PORT']}", trust_env=False) as http:

        def read(path: str, **params: str) -> dict[str, Any]:
            try:
                data: dict[str, Any] = http.get(f"/api/v1/{path}", params=params).json()["data"]
            except (httpx2.TransportError, ValueError):
                return {}
            return data

        def ports() -> set[str]:
            targets = read("targets").get("activeTargets", [])
            up = [target for target in targets if target["health"] == "up"]
            return {
                target["scrapeUrl"].split(":")[2].split("/")[0] for target in up if len(up) == len(targets)
            }

        def workers() -> bool:
            samples = read("query", query="max(sentiq_workers)").get("result", [])
            return bool(samples) and samples[0]["value"][1] == str(WORKERS)

        eventually(lambda: ports() == {"8000", "9090"}, within_s=90)
        eventually(workers, within_s=60)
