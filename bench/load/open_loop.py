"""Callers that come when they come, whether or not earlier ones were answered, and come back when told to."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from samples.composed import composed_texts

# For a service whose callers all have one address, and whose work is measured, not its memory.
UNHINDERED = {
    "SENTIMENT_RATE_PER_S": "100000",
    "SENTIMENT_RATE_BURST": "100000",
    "SENTIMENT_CACHE_ROWS": "0",
}
ITEMS = 16  # of a job: enough that the texts, not the requests, are the work
_CALIBRATION_S = 15
_CALLERS = 24
_LOOKED_UP = 500
_GIVE_UP_S = 300


@dataclass
class Outcomes:
    """What became of all requests."""

    accepted: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    strange: int = 0
    retried: int = 0
    retried_well: int = 0
    longest_retry_s: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    lost: int = 0


async def capacity_of(url: str, seed: int) -> float:
    """Items a second that the service does when callers wait for their verdicts before they send more."""
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
    # The first third is for warming up.
    counted = [end for end in ends if _CALIBRATION_S / 3 <= end <= _CALIBRATION_S]
    return len(counted) * ITEMS / (_CALIBRATION_S * 2 / 3)


async def outcomes_of(url: str, items_per_s: float, seconds: float, seed: int) -> Outcomes:
    """Send jobs at that rate for so long; return what became of them once all that was accepted is over."""
    chance, outcomes = random.Random(seed), Outcomes()  # noqa: S311  the same arrivals again matter here
    due, times = 0.0, []
    while (due := due + chance.expovariate(items_per_s / ITEMS)) < seconds:
        times.append(due)
    async with _client(url) as http:
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for due, body in zip(times, _bodies(len(times), seed), strict=True):
                await asyncio.sleep(max(0, start + due - time.monotonic()))
                group.create_task(_arrive(http, body, outcomes))
        await _follow(http, outcomes)
    return outcomes


async def _arrive(http: httpx2.AsyncClient, body: dict[str, Any], outcomes: Outcomes) -> None:
    """Ask for room, and once more when told to."""
    retry_s = await _submit(http, body, outcomes)
    if retry_s:
        outcomes.longest_retry_s = max(outcomes.longest_retry_s, retry_s)
        await asyncio.sleep(retry_s)
        # In two steps: `+=` would read the count before it waits, and lose what others counted meanwhile.
        refused = await _submit(http, body, outcomes) is not None
        outcomes.retried += 1
        outcomes.retried_well += not refused


async def _submit(http: httpx2.AsyncClient, body: dict[str, Any], outcomes: Outcomes) -> int | None:
    """Return when to try again; None when accepted, 0 when a full service may not answer so."""
    start = time.monotonic()
    answer = await http.post("/v1/jobs", json=body)
    outcomes.latencies_ms.append((time.monotonic() - start) * 1000)
    if answer.status_code == 202:  # noqa: PLR2004  accepted
        outcomes.accepted.append(answer.json()["id"])
        return None
    if answer.status_code in (429, 503) and answer.headers.get("retry-after", "").isdecimal():
        outcomes.refusals[answer.json()["code"]] += 1
        return int(answer.headers["retry-after"])
    outcomes.strange += 1
    return 0


async def _follow(http: httpx2.AsyncClient, outcomes: Outcomes) -> None:
    """Wait until all accepted jobs are over, and read how long each took by Redis's clock."""
    end = time.monotonic() + _GIVE_UP_S
    jobs = await _look_up(http, outcomes.accepted)
    while any(job.get("poll_after_ms") for job in jobs) and time.monotonic() < end:
        await asyncio.sleep(1)
        jobs = await _look_up(http, outcomes.accepted)
    whole = [job for job in jobs if job.get("status") == "succeeded" and job["counts"]["succeeded"] == ITEMS]
    outcomes.lost = len(jobs) - len(whole)
    for job in whole:
        created, finished = (datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at"))
        outcomes.waits_s.append((finished - created).total_seconds())


async def _look_up(http: httpx2.AsyncClient, job_ids: Sequence[str]) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    for i in range(0, len(job_ids), _LOOKED_UP):
        answer = await http.post("/v1/jobs/lookup", json={"ids": job_ids[i : i + _LOOKED_UP]})
        jobs += answer.raise_for_status().json()["data"]
    return jobs


def _bodies(count: int, seed: int) -> list[dict[str, Any]]:
    texts = composed_texts(1000, seed)
    chance = random.Random(seed)  # noqa: S311  as above
    return [
        {"items": [{"text": f"{chance.choice(texts)}{i}.{j}"} for j in range(ITEMS)]} for i in range(count)
    ]


def _client(url: str) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=200)
    return httpx2.AsyncClient(base_url=url, timeout=60, trust_env=False, limits=limits)
