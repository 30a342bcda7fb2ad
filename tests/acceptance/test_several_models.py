"""Three models on one service: right labels for every item, whatever dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest

from local.client import Client
from tests.conftest import eventually, started_stack, worker_of
from tests.random_packs import SEVEN, THREE, TWO, write_random_pack

LABELS = {"two": TWO, "three": THREE, "seven": SEVEN}
ITEMS = 300


@pytest.mark.timeout(300)
def test_three_models_serve_at_once_and_survive_the_death_of_children(tmp_path: Path) -> None:
    for name, labels in LABELS.items():
        write_random_pack(tmp_path / name, labels, pack_id=f"test/{name}")
    packs = ",".join(f"{name}={tmp_path / name}" for name in LABELS)
    with started_stack(tmp_path, PACKS=packs) as stack, Client(stack.url) as client:
        eventually(lambda: {model["name"] for model in client.info()["models"]} == set(LABELS), within_s=120)
        texts = [f"第{i}条，服务很贴心" for i in range(ITEMS)]
        jobs = {name: client.submit(texts, model=name)["id"] for name in LABELS}
        parents = worker_of(stack).children()
        assert len(parents) == len(LABELS)
        for parent in parents:
            child: psutil.Process = parent.children()[0]
            child.kill()
        for name, job_id in jobs.items():
            job = finished(client, job_id)
            assert (job["model_name"], job["counts"]["succeeded"]) == (name, ITEMS)
            items = client.results(job_id)
            assert {item["model"].partition("@")[0] for item in items} == {f"test/{name}"}
            assert {item["label"] for item in items} <= set(LABELS[name].ids)
            assert all(set(item["probabilities"]) == set(LABELS[name].ids) for item in items)


def finished(client: Client, job_id: str) -> dict[str, Any]:
    eventually(lambda: client.job(job_id, wait_s=10)["finished_at"], within_s=200)
    return client.job(job_id)
