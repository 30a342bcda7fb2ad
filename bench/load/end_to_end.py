"""End-to-end load: texts in jobs of a thousand through HTTP, until every result is read and checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sentiq import Sentiq

from bench.program import BenchError

JOB_ITEMS = 1000


@dataclass(frozen=True)
class Run:
    """One pass over the texts: texts per second, and the seconds from submit to results read of each job."""

    rate: float
    waits: list[float]


def run_jobs(url: str, texts: Sequence[str]) -> Run:
    """Submit all jobs at once, each from a client of its own, and wait for their results.

    Raise BenchError if a text has no verdict.
    """
    jobs = [texts[start : start + JOB_ITEMS] for start in range(0, len(texts), JOB_ITEMS)]
    start = time.monotonic()
    with ThreadPoolExecutor(len(jobs)) as pool:
        waits = list(pool.map(lambda job: _run_job(url, job), jobs))
    rate = len(texts) / (time.monotonic() - start)
    return Run(rate, waits)


def _run_job(url: str, texts: Sequence[str]) -> float:
    start = time.monotonic()
    with Sentiq(url) as client:
        job = client.submit(texts)
        items = list(job.wait().raw_results())
    seconds = time.monotonic() - start
    if [item["index"] for item in items] != list(range(len(texts))):
        raise BenchError(f"job {job.id}: {len(items)} results for {len(texts)} texts, or out of order")
    if failed := [item for item in items if item["error"]]:
        code = failed[0]["error"]["code"]
        raise BenchError(f"job {job.id}: {len(failed)} texts failed, the first with {code}")
    return seconds
