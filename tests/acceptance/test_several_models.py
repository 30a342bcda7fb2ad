"""Three models on one service: right labels for every item, whatever dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import psutil
import pytest

from local.client import Client
from local.stack import Stack
from tests.conftest import eventually, started_stack, worker_of
from tests.random_packs import SEVEN, THREE, TWO, write_random_pack

LABELS = {"two": TWO, "three": THREE, "seven": SEVEN}
ITEMS = 300


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that serves the three models."""
    folder = tmp_path_factory.mktemp("models")
    for name, labels in LABELS.items():
        write_random_pack(folder / name, labels, pack_id=f"test/{name}")
    packs = ",".join(f"{name}={folder / name}" for name in LABELS)
    with started_stack(folder, PACKS=packs) as stack, Client(stack.url) as client:
        eventually(lambda: {model["name"] for model in client.info()["models"]} == set(LABELS), within_s=120)
        yield stack


@pytest.mark.timeout(300)
def test_three_models_serve_at_once_and_survive_the_death_of_children(stack: Stack) -> None:
    with Client(stack.url) as client:
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


@pytest.mark.timeout(300)
def test_a_job_is_compared_with_a_second_model(stack: Stack, reviews: list[dict[str, str]]) -> None:
    """Two models of two and of three labels: the comparison is a recount of the results of both jobs."""
    texts = [review["text"] for review in reviews[:200]]
    with Client(stack.url) as client:
        job = finished(
            client, client.submit(texts, model="two", compare_with="three", compare_share=0.5)["id"]
        )
        finished(client, job["shadow"])
        found = httpx2.get(f"{stack.url}/v1/jobs/{job['id']}/comparison", trust_env=False).json()
        ours, others = client.results(job["id"]), client.results(job["shadow"])
    pairs = [(ours[other["source_index"]], other) for other in others]
    assert 60 < len(pairs) < 140
    assert (found["complete"], found["sampled"], found["compared"]) == (True, len(pairs), len(pairs))
    counts = Counter((one["label"], other["label"]) for one, other in pairs)
    assert {(each["label"], each["other_label"]): each["items"] for each in found["labels"]} == counts
    differing = [one["index"] for one, other in pairs if one["label"] != other["label"]]
    assert [each["index"] for each in found["differences"]] == differing[:100]
    assert found["agreed"] == len(pairs) - len(differing)
    gap = sum(abs(one["score"] - other["score"]) for one, other in pairs) / len(pairs)
    assert found["mean_score_difference"] == pytest.approx(gap, abs=2e-6)


def finished(client: Client, job_id: str) -> dict[str, Any]:
    eventually(lambda: client.job(job_id, wait_s=10)["finished_at"], within_s=200)
    return client.job(job_id)
