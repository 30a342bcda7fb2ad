"""Open-loop load: Poisson arrivals that retry once after `Retry-After`."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from bench.load.arrivals import poisson_times
from samples.composed import composed_texts

# All callers share one address, so rate limits are lifted; the cache is off, so that every text is scored.
LOAD_TEST_SETTINGS = {
    "SENTIMENT_RATE_PER_S": "100000",
    "SENTIMENT_RATE_BURST": "100000",
    "SENTIMENT_CACHE_ROWS": "0",
}
JOB_ITEMS = 16  # enough that the texts cost more than the requests
_CALIBRATION_S = 15
_CALLERS = 24
_LOOKUP_BATCH = 500
_FINISH_TIMEOUT_S = 300


@dataclass
class Outcomes:
    """Counts and times of all requests of a run; refusals are counted by code."""

    accepted: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    unexpected: int = 0
    retries: int = 0
    accepted_retries: int = 0
    longest_retry_s: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    lost: int = 0


async def measure_capacity(url: str, seed: int) -> float:
    """Return the items per second of a closed loop: callers that wait for verdicts before they send more."""
    bodies = iter(_bodies(10_000, seed))
    async with _client(url) as http:
        start = time.monotonic()
        ends: list[float] = []

        async def call() -> None:
            while time.monotonic() - start < _CALIBRATION_S:
                headers = {"Prefer": "wait=30"}
                answer = await http.post("/v1/jobs", json=next(bodies), headers=headers)
                answer.raise_for_status()
                ends.append(time.monotonic() - start)

        await asyncio.gather(*(call() for _ in range(_CALLERS)))
    # The first third is the warm-up.
    counted = [end for end in ends if _CALIBRATION_S / 3 <= end <= _CALIBRATION_S]
    return len(counted) * JOB_ITEMS / (_CALIBRATION_S * 2 / 3)


async def send_open_loop(url: str, items_per_s: float, seconds: float, seed: int) -> Outcomes:
    """Send jobs at that rate for `seconds`, wait for the accepted ones, and return the outcomes."""
    outcomes, times = Outcomes(), poisson_times(items_per_s / JOB_ITEMS, seconds, seed)
    async with _client(url) as http:
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for due, body in zip(times, _bodies(len(times), seed), strict=True):
                await asyncio.sleep(max(0, start + due - time.monotonic()))
                group.create_task(_arrive(http, body, outcomes))
        await _await_jobs(http, outcomes)
    return outcomes


async def _arrive(http: httpx2.AsyncClient, body: dict[str, Any], outcomes: Outcomes) -> None:
    """Submit a job, and once more after `Retry-After` if it is refused."""
    retry_s = await _submit(http, body, outcomes)
    if retry_s:
        outcomes.longest_retry_s = max(outcomes.longest_retry_s, retry_s)
        await asyncio.sleep(retry_s)
        # In two steps: `+=` would read the count before it awaits, and lose what others counted meanwhile.
        refused = await _submit(http, body, outcomes) is not None
        outcomes.retries += 1
        outcomes.accepted_retries += not refused


async def _submit(http: httpx2.AsyncClient, body: dict[str, Any], outcomes: Outcomes) -> int | None:
    """Return the seconds of `Retry-After`; None if accepted, 0 for an answer that overload does not allow."""
    start = time.monotonic()
    answer = await http.post("/v1/jobs", json=body)
    outcomes.latencies_ms.append((time.monotonic() - start) * 1000)
    if answer.status_code == 202:  # noqa: PLR2004  accepted
        outcomes.accepted.append(answer.json()["id"])
        return None
    if answer.status_code in (429, 503) and answer.headers.get("retry-after", "").isdecimal():
        outcomes.refusals[answer.json()["code"]] += 1
        return int(answer.headers["retry-after"])
    outcomes.unexpected += 1
    return 0


async def _await_jobs(http: httpx2.AsyncClient, outcomes: Outcomes) -> None:
    """Wait until all accepted jobs have finished, and record how long each took by Redis's clock."""
    deadline = time.monotonic() + _FINISH_TIMEOUT_S
    jobs = await _look_up(http, outcomes.accepted)
    while any(job.get("poll_after_ms") for job in jobs) and time.monotonic() < deadline:
        await asyncio.sleep(1)
        jobs = await _look_up(http, outcomes.accepted)
    done = [
        job for job in jobs if job.get("status") == "succeeded" and job["counts"]["succeeded"] == JOB_ITEMS
    ]
    outcomes.lost = len(jobs) - len(done)
    for job in done:
        created, finished = (datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at"))
        outcomes.waits_s.append((finished - created).total_seconds())


async def _look_up(http: httpx2.AsyncClient, job_ids: Sequence[str]) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    for i in range(0, len(job_ids), _LOOKUP_BATCH):
        answer = await http.post("/v1/jobs/lookup", json={"ids": job_ids[i : i + _LOOKUP_BATCH]})
        jobs += answer.raise_for_status().json()["data"]
    return jobs


def _bodies(count: int, seed: int) -> list[dict[str, Any]]:
    texts = composed_texts(1000, seed)
    chance = random.Random(seed)  # noqa: S311  as above
    return [
        {"items": [{"text": f"{chance.choice(texts)}{i}.{j}"} for j in range(JOB_ITEMS)]}
        for i in range(count)
    ]


def _client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=200)
    return httpx2.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits)
