"""The comparison of a job with its shadow against a recount of what both models said."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tasks.store import leases
from tasks.store.comparisons import read_comparison
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.comparisons import MAX_DIFFERENCES, Answer, Comparison
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import Job, QueueClass, Terms
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.shadows import sampled, shadow_terms
from tasks.vocabulary.verdicts import Verdict
from tests.conftest import MODEL_NAME
from tests.verdicts import EMOTIONS, THREE, of, rated

OTHER = "other"
ITEMS, PER_CHUNK = 600, 7
LABELS = {MODEL_NAME: NEGATIVE_POSITIVE, OTHER: THREE}
Give = Callable[[Item], Outcome]


@pytest.fixture
def store(store: JobStore) -> JobStore:
    for model, labels in LABELS.items():
        store.labels.record(f"{model}@1", labels)
    return store


def compared(store: JobStore, share: float) -> tuple[Job, Job]:
    """Record a job, whose ids are its indexes, with its shadow."""
    job_id, shadow_id = store.ids.issue(), store.ids.issue()
    terms = Terms(queue_class=QueueClass.BULK, model=MODEL_NAME, compare_with=OTHER, compare_share=share)
    items = [Item.accept(f"第{i}次来", 99, f"{i}") for i in range(ITEMS)]
    chunks = [Chunk(job_id, i, items[i : i + PER_CHUNK]) for i in range(0, ITEMS, PER_CHUNK)]
    sample = list(sampled(chunks, share))
    drawn = [Chunk(shadow_id, i, sample[i : i + 50]) for i in range(0, len(sample), 50)]
    job = store.create(job_id, terms, chunks)
    return job, store.create(shadow_id, shadow_terms(job_id, terms), drawn)


def score(store: JobStore, model: str, give: Give, budget: int = 10**9, leased: int = 10**9) -> None:
    """Score pending chunks of a model as a child does, in at most `leased` leases of a budget."""
    child = leases.Holder("worker", 1, siblings=1, model=model)
    while leased and (held := leases.lease(store, child, budget)):
        results = [
            ChunkResult(each.chunk, [item.error or give(item) for item in each.chunk.items], 1, f"{model}@1")
            for each in held.chunks
        ]
        leases.finish(store, held, results, {"id": model, "revision": "1", "engine": "none"})
        leased -= 1


def answers(model: str, seed: int) -> dict[str, Outcome]:
    """Return what a model says of each item by its id: verdicts of any label, and a few errors."""
    rng, found = random.Random(seed), dict[str, Outcome]()
    for i in range(ITEMS):
        weights = [rng.random() for _ in LABELS[model]]
        verdict = of(LABELS[model], *(round(weight / sum(weights), 6) for weight in weights))
        found[f"{i}"] = ItemError.INFERENCE_FAILED if rng.random() < 0.05 else verdict
    return found


def by_id(said: dict[str, Outcome]) -> Give:
    return lambda item: said[item.id or ""]


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_comparison_is_a_recount_of_what_both_models_said(store: JobStore, share: float) -> None:
    job, shadow = compared(store, share)
    ours, others = answers(MODEL_NAME, 1), answers(OTHER, 2)
    score(store, MODEL_NAME, by_id(ours))
    score(store, OTHER, by_id(others))
    sample = [item.source_index or 0 for item in store.results(shadow.id, 0, ITEMS).items]
    assert len(sample) == shadow.counts.total
    both = [
        (i, Answer(a.label, a.confidence, a.score), Answer(b.label, b.confidence, b.score))
        for i in sample
        if isinstance(a := ours[f"{i}"], Verdict) and isinstance(b := others[f"{i}"], Verdict)
    ]
    found = read_comparison(store, job.id, shadow.id)
    assert found.compared == len(both) < len(sample)
    assert found.pairs == Counter((one.label, other.label) for _, one, other in both)
    scores = [(one.score, other.score) for _, one, other in both]
    gaps = [abs(one - other) for one, other in scores if one is not None and other is not None]
    assert len(gaps) == len(both)
    assert found.mean_score_difference == pytest.approx(sum(gaps) / len(gaps), abs=1e-5)
    differing = [(i, one, other) for i, one, other in both if one.label != other.label]
    assert found.agreed == len(both) - len(differing) > 0
    assert [(each.index, each.id) for each in found.differences] == [
        (i, f"{i}") for i, *_ in differing[:MAX_DIFFERENCES]
    ]
    for each, (_, one, other) in zip(found.differences, differing, strict=False):
        assert (each.answer.label, each.other.label) == (one.label, other.label)
        assert each.answer.confidence == pytest.approx(one.confidence, abs=2e-6)
        assert each.other.confidence == pytest.approx(other.confidence, abs=2e-6)


def test_a_comparison_grows_with_what_both_have_scored(store: JobStore) -> None:
    """Neither model works in input order here: what is compared is what both have."""
    job, shadow = compared(store, 1.0)
    assert read_comparison(store, job.id, shadow.id) == Comparison()
    score(store, MODEL_NAME, lambda _: rated(0.9, 5, 5), budget=1, leased=20)
    assert read_comparison(store, job.id, shadow.id).compared == 0
    score(store, OTHER, lambda _: of(THREE, 0.7, 0.2, 0.1), budget=1, leased=2)
    seen = read_comparison(store, job.id, shadow.id)
    assert seen.pairs == {("positive", "positive"): min(20 * PER_CHUNK, 100)}
    assert seen.mean_score_difference == pytest.approx(0.2)
    score(store, MODEL_NAME, lambda _: rated(0.9, 5, 5))
    score(store, OTHER, lambda _: of(THREE, 0.1, 0.2, 0.7))
    assert read_comparison(store, job.id, shadow.id).pairs == {
        ("positive", "positive"): 100,
        ("positive", "negative"): ITEMS - 100,
    }


def test_labels_without_polarity_have_no_score_to_compare(store: JobStore) -> None:
    store.labels.record("moods@1", EMOTIONS)
    job, shadow = compared(store, 1.0)
    score(store, MODEL_NAME, lambda _: rated(0.9, 5, 5))
    child = leases.Holder("worker", 1, siblings=1, model=OTHER)
    held = leases.lease(store, child, 10**9)
    assert held is not None
    joy = of(EMOTIONS, 0.1, 0.1, 0.1, 0.1, 0.4, 0.1, 0.1)
    results = [ChunkResult(each.chunk, [joy] * len(each.chunk.items), 1, "moods@1") for each in held.chunks]
    leases.finish(store, held, results, {"id": "moods", "revision": "1", "engine": "none"})
    found = read_comparison(store, job.id, shadow.id)
    assert (found.compared, found.agreed, found.mean_score_difference) == (ITEMS, 0, None)
    assert len(found.differences) == MAX_DIFFERENCES
