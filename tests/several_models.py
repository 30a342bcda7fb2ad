"""Three models on one service: what each has to answer, also while one of them stands still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sentiq import Sentiq

from local.processes import ROOT
from samples.shipped import read_reviews
from tests.conftest import items_of
from tests.random_packs import SEVEN, THREE, write_random_pack
from worker.engines.factory import build_engine
from worker.packs.pack import Pack, load_pack
from worker.scoring.classifier import Classifier

EMBEDDED = ROOT / "models" / "embedded"
TEXTS = [review.text for review in read_reviews()[::2]]


def write_packs(folder: Path, two: str, three: str, seven: str) -> dict[str, Pack]:
    """Return packs with two, three and seven labels by the names given; the two others are written anew."""
    random = {name: (folder / name, labels) for name, labels in ((three, THREE), (seven, SEVEN))}
    packs = {
        name: write_random_pack(path, labels, pack_id=f"test/{name}")
        for name, (path, labels) in random.items()
    }
    return {two: load_pack(EMBEDDED)} | packs


def submit_texts(client: Sentiq, names: Iterable[str]) -> dict[str, str]:
    """Submit the texts to each model; return the ids of the jobs by the names of the models."""
    return {name: str(client.submit(TEXTS, model=name).id) for name in names}


def finish_beside(client: Sentiq, names: Iterable[str], stopped: str) -> str:
    """Finish a job of each model but one, whose child stands still; return the id of its job, which waits."""
    waiting = str(client.submit(TEXTS, model=stopped).id)
    for job_id in submit_texts(client, (name for name in names if name != stopped)).values():
        finished(client, job_id)
    assert client.job(waiting).counts.pending == len(TEXTS)
    return waiting


def assert_right(client: Sentiq, jobs: Mapping[str, str], packs: Mapping[str, Pack]) -> None:
    """Each item has the label that the pack of its model gives, and names that pack."""
    for name, job_id in jobs.items():
        job, pack = finished(client, job_id), packs[name]
        assert (job["model_name"], job["counts"]["succeeded"]) == (name, len(TEXTS))
        items = items_of(client, job_id)
        assert {item["model"] for item in items} == {pack.model}
        assert [item["label"] for item in items] == labels_of(pack.directory)
        assert all(set(item["probabilities"]) == set(pack.labels.ids) for item in items)


def finished(client: Sentiq, job_id: str) -> dict[str, Any]:
    """Wait until a job has finished and return it."""
    return dict(client.job(job_id).wait(timeout=200).raw)


@cache
def labels_of(directory: Path) -> list[str]:
    """Return the labels that a pack gives the texts, one by one."""
    pack = load_pack(directory)
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    classifier = Classifier(pack, engine, batch_tokens=engine.batch_tokens)
    return [verdict.label for text in TEXTS for verdict in classifier.classify([text])]
