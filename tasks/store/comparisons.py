"""The comparison of a job with its shadow, computed from the results of both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.vocabulary.codec import decode_results
from tasks.vocabulary.comparisons import Answer, Comparison
from tasks.vocabulary.items import ItemResult

# Chunks that are read at once; other requests of the process run between two readings.
_CHUNK_BATCH = 16


def read_comparison(store: JobStore, job_id: str, shadow_id: str) -> Comparison:
    """Compare the verdicts that a job and its shadow have by now."""
    others = dict(_answers(store, shadow_id))
    comparison = Comparison()
    for item in _items_at(store, job_id, others.keys()):
        answer = Answer.of(item)
        if answer is not None:
            comparison.add(item, answer, others[item.index])
    return comparison


def _answers(store: JobStore, shadow_id: str) -> Iterator[tuple[int, Answer]]:
    """Yield the answers of a shadow, each with the index of its item in the job."""
    position = 0
    while chunks := store.results_by_completion(shadow_id, position, _CHUNK_BATCH):
        for item in (item for items in chunks for item in items):
            answer = Answer.of(item)
            if answer is not None and item.source_index is not None:
                yield item.source_index, answer
        position += len(chunks)


def _items_at(store: JobStore, job_id: str, indexes: Collection[int]) -> Iterator[ItemResult]:
    """Yield the finished items of a job that have these indexes, in input order."""
    key = job_key(job_id, "results")
    with store_errors():
        starts = sorted(map(int, store.redis.hkeys(key)))
    # Where the chunk of an index is not finished, this is one before it, in which the index is not found.
    places = {bisect_right(starts, index) - 1 for index in indexes}
    chunks = [starts[place] for place in sorted(places) if place >= 0]
    for first in range(0, len(chunks), _CHUNK_BATCH):
        batch = chunks[first : first + _CHUNK_BATCH]
        with store_errors():
            written = store.redis.hmget(key, batch)
        for start, value in zip(batch, written, strict=True):
            if value is not None:
                _, _, results = value.partition(b" ")  # behind the number of items
                yield from decode_results(start, results, store.labels.of, indexes)
