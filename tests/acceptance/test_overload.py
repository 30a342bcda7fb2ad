"""Three times what a class can do, and everybody comes back when told to: who gets in, and how long it takes.

A child of a known rate takes the place of the model, so that only promises are tried; the same with
everything real is `make bench-overload`.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable

import pytest

from tasks.errors import RefusedError
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import JobStatus, QueueClass, Terms
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated

CLASS = QueueClass.INTERACTIVE
ITEMS_PER_S, OVERLOAD_S, TARGET_S = 30, 10, 4
CHARS = 10


def work(store: JobStore, stop: threading.Event) -> None:
    """Finish ITEMS_PER_S items a second, half a second of work at a time."""
    child = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
    while not stop.is_set():
        held = leases.lease(store, child, ITEMS_PER_S * CHARS // 2)
        stop.wait(len(held.chunks) / ITEMS_PER_S if held else 0.01)
        if held:
            results = [ChunkResult(leased.chunk, [rated(0.75, 5, 5)], 1) for leased in held.chunks]
            leases.finish(store, held, results, {"id": "test"})


def attempt(store: JobStore, number: int) -> str | float:
    """Submit the text of a number; return the job's id, or in how many seconds to try again."""
    job_id = store.ids.issue()
    try:
        store.create(
            job_id, Terms(queue_class=CLASS), [Chunk(job_id, 0, [Item.accept(f"{number:0{CHARS}}", 99)])]
        )
    except RefusedError as refusal:
        return refusal.retry_after_s
    return job_id


def come_and_come_back(submit: Callable[[int], str | float]) -> tuple[list[str], int, int]:
    """Return the jobs accepted, how many were told to come back, and how many of them were accepted then."""
    rng = random.Random(1)
    calls = [(rng.uniform(0, OVERLOAD_S), number, False) for number in range(3 * ITEMS_PER_S * OVERLOAD_S)]
    heapq.heapify(calls)
    accepted, refused, kept = [], 0, 0
    start = time.monotonic()
    while calls:
        due, number, again = heapq.heappop(calls)
        time.sleep(max(0, start + due - time.monotonic()))
        answer = submit(number)
        if isinstance(answer, str):
            accepted.append(answer)
            kept += again
        elif not again:
            refused += 1
            heapq.heappush(calls, (time.monotonic() - start + answer + rng.uniform(0, 1), number, True))
    return accepted, refused, kept


@pytest.mark.timeout(180)
def test_under_overload_promises_are_kept_and_accepted_jobs_are_in_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.redis_url
    monkeypatch.setenv("SENTIMENT_TARGET_WAIT_INTERACTIVE_S", str(TARGET_S))
    monkeypatch.setenv("SENTIMENT_LEASE_WORK_S", "0.5")
    settings = Settings.read()
    store, stop = JobStore.connect(settings), threading.Event()
    child = threading.Thread(target=work, args=(JobStore.connect(settings), stop))
    child.start()
    try:
        accepted, refused, kept = come_and_come_back(lambda number: attempt(store, number))
        eventually(lambda: all(store.job(job_id).status.terminal for job_id in accepted[-99:]))
    finally:
        stop.set()
        child.join()
    assert refused > ITEMS_PER_S * OVERLOAD_S, "it was an overload"
    assert kept >= 0.9 * refused, f"{kept} of {refused}"
    jobs = [store.job(job_id) for job_id in accepted]
    assert {job.status for job in jobs} == {JobStatus.SUCCEEDED}
    waits = sorted((job.finished_ms or 0) - job.created_ms for job in jobs)
    assert waits[int(0.99 * len(waits))] <= TARGET_S * 1000
