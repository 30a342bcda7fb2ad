"""What the calls of the job store cost Redis, each kind alone on a Redis of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from api.intake.submission import cut
from bench.environ import environ
from bench.redis_meter import RedisMeter
from bench.simulate.parts import Call
from local.redis_server import redis_server
from samples.composed import composed_texts
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.labels import LabelSet
from tasks.vocabulary.verdicts import Verdict
from worker.packs.pack import load_pack

_MODEL = {"id": "calibration", "revision": "1"}
_MODEL_NAME = "calibration@1"
_SIZES = (1, 16)  # chunks of a call, between which its cost is taken for a line
_OWNER = ""
_SPARE = 3  # jobs: the last leases of a queue are smaller

Held = list[leases.Lease]


def chunks_of(texts: Sequence[str], job_id: str) -> list[Chunk]:
    """Return texts in chunks as the API cuts them."""
    settings = Settings.read()
    items = (Item.accept(text, settings.max_text_chars) for text in texts)
    return [*cut(job_id, items, settings.chunk_items, settings.chunk_chars)]


def measure_calls(count: int, seed: int) -> dict[str, Call]:
    """Return the costs of create, lease, finish and read, measured over `count` calls of each size."""
    labels = load_pack(Settings.read().pack).labels
    small, large = (_of_size(size, max(20, count // size), seed, labels) for size in _SIZES)
    return {name: _line(small[name], large[name]) for name in small}


def _of_size(size: int, count: int, seed: int, labels: LabelSet) -> dict[str, tuple[float, float]]:
    """Return the microseconds and the bytes of one call of each kind on `size` chunks."""
    with redis_server() as url, environ({"REDIS_URL": url}):
        store = JobStore.connect(Settings.read())
        store.labels.record(_MODEL_NAME, labels)
        texts = composed_texts(size * store.settings.chunk_items * 2, seed)
        job_ids = [store.ids.issue(_OWNER) for _ in range(count + _SPARE)]
        made = [chunks_of(texts, job_id)[:size] for job_id in job_ids]
        budget = sum(chunk.cost for chunk in made[0])
        held: Held = []

        def lease() -> None:
            # A child that asks again gets the lease that it holds: each lease is of another child.
            child = leases.Holder(f"worker{len(held)}", 1, siblings=1, model=_MODEL["id"])
            found = leases.lease(store, child, budget)
            if found is None or len(found.chunks) != size:
                raise RuntimeError(f"a lease has not {size} chunks")
            held.append(found)

        return {
            "create": _cost(
                url, [partial(_create, store, *each) for each in zip(job_ids, made, strict=True)]
            ),
            "lease": _cost(url, [lease] * count),
            "finish": _cost(url, [lambda: _finish(store, held.pop(), labels)] * count),
            "read": _cost(url, [partial(_read, store, chunks) for chunks in made[:count]]),
        }


def _create(store: JobStore, job_id: str, chunks: Sequence[Chunk]) -> None:
    store.create(job_id, Terms(model=_MODEL["id"], queue_class=QueueClass.BULK, owner=_OWNER), chunks)


def _finish(store: JobStore, held: leases.Lease, labels: LabelSet) -> None:
    results = [
        ChunkResult(each.chunk, _verdicts(each.chunk, labels), each.attempts, _MODEL_NAME)
        for each in held.chunks
    ]
    if leases.finish(store, held, results, _MODEL) != len(results):
        raise RuntimeError("a finish wrote fewer chunks than it held")


def _read(store: JobStore, chunks: Sequence[Chunk]) -> None:
    items = sum(len(chunk.items) for chunk in chunks)
    read = store.results(chunks[0].job_id, 0, items)
    if len(read.items) != items:
        raise RuntimeError(f"{len(read.items)} results of {items}")


def _verdicts(chunk: Chunk, labels: LabelSet) -> list[Verdict]:
    """Return a verdict for each item, as unlike one another as real ones: results are compressed."""
    chance = random.Random(chunk.start)  # noqa: S311  the same each time
    weights = [[chance.random() for _ in labels.labels] for _ in chunk.items]
    shares = [{number: weight / sum(row) for number, weight in enumerate(row)} for row in weights]
    return [
        Verdict(labels, each, len(item.text) + 2, len(item.text) + 2)
        for each, item in zip(shares, chunk.items, strict=True)
    ]


def _cost(url: str, calls: Sequence[Callable[[], object]]) -> tuple[float, float]:
    with RedisMeter(url) as meter:
        for call in calls:
            call()
    sent = meter.counts["bytes_in"] + meter.counts["bytes_out"]
    return meter.counts["cpu_us"] / len(calls), sent / len(calls)


def _line(small: tuple[float, float], large: tuple[float, float]) -> Call:
    """Return the line through the costs of both sizes; no part of it is below 0."""
    chunk_us, chunk_bytes = (
        max(0.0, (high - low) / (_SIZES[1] - _SIZES[0])) for low, high in zip(small, large, strict=True)
    )
    return Call(max(0.0, small[0] - chunk_us), chunk_us, max(0.0, small[1] - chunk_bytes), chunk_bytes)
