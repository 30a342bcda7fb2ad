"""Three models on one service, as `make up` runs them: right labels for every item, whatever dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2
import psutil
import pytest
from sentiq import Sentiq

from local.processes import ProcessDiedError
from local.stack import Stack
from tests.conftest import eventually, items_of, started_stack, worker_of
from tests.several_models import (
    assert_right,
    finish_beside,
    finished,
    submit_texts,
    write_packs,
)
from worker.packs.pack import Pack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def packs(folder: Path) -> Mapping[str, Pack]:
    return write_packs(folder, "two", "three", "seven")


@pytest.fixture(scope="module")
def stack(folder: Path, packs: Mapping[str, Pack]) -> Iterator[Stack]:
    """A stack that serves the three models."""
    given = ",".join(f"{name}={pack.directory}" for name, pack in packs.items())
    with started_stack(folder, PACKS=given) as stack, Sentiq(stack.url) as client:
        eventually(lambda: {model["name"] for model in client.info()["models"]} == set(packs), within_s=120)
        yield stack


@pytest.mark.timeout(300)
def test_a_job_is_compared_with_a_second_model(stack: Stack, reviews: list[dict[str, str]]) -> None:
    """Two models of two and of three labels: the comparison is a recount of the results of both jobs."""
    texts = [review["text"] for review in reviews[:200]]
    with Sentiq(stack.url) as client:
        job = finished(client, client.submit(texts, model="two", compare_with="three", compare_share=0.5).id)
        finished(client, job["shadow"])
        found = httpx2.get(f"{stack.url}/v1/jobs/{job['id']}/comparison", trust_env=False).json()
        ours, others = items_of(client, job["id"]), items_of(client, job["shadow"])
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


@pytest.mark.timeout(300)
def test_three_models_serve_at_once_and_survive_the_death_of_children(
    stack: Stack, packs: Mapping[str, Pack]
) -> None:
    with Sentiq(stack.url) as client:
        jobs = submit_texts(client, packs)
        parents = worker_of(stack).children()
        assert len(parents) == len(packs)
        killed = [kill_child(parent) for parent in parents]
        assert_right(client, jobs, packs)
    assert all(child not in parent.children() for child, parent in zip(killed, parents, strict=True))
    assert all(len(parent.children()) == 1 for parent in parents), "a new child for each that was killed"


def test_a_model_that_stands_still_holds_up_no_other(stack: Stack, packs: Mapping[str, Pack]) -> None:
    (child,) = parent_of(stack, "seven").children()
    child.suspend()
    try:
        with Sentiq(stack.url) as client:
            waiting = finish_beside(client, packs, "seven")
            child.resume()
            assert_right(client, {"seven": waiting}, packs)
    finally:
        child.resume()


def parent_of(stack: Stack, name: str) -> psutil.Process:
    """Return the Celery parent of a model."""
    parents = worker_of(stack).children()
    return next(each for each in parents if f"--hostname={name}-" in " ".join(each.cmdline()))


def kill_child(parent: psutil.Process) -> psutil.Process:
    """Kill a child of a Celery parent; return it."""
    child: psutil.Process = parent.children()[0]
    child.kill()
    return child


def test_a_worker_of_several_packs_ends_with_any_of_its_parents(stack: Stack) -> None:
    """Leave nothing running: this test is the last of its stack."""
    worker = worker_of(stack)
    family = worker.children(recursive=True)
    parent_of(stack, "three").kill()
    with pytest.raises(ProcessDiedError, match="the parent of three was killed by SIGKILL: stopping all"):
        eventually(stack.check, within_s=60)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
