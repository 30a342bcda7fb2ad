"""Jobs of a single text, each submitted and waited for by one of some callers at a time."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import httpx2

from bench.program import BenchError

_CALLERS = 8


def run_single_jobs(url: str, jobs: int) -> None:
    """Submit jobs and wait for their verdicts. Raise BenchError if one is not finished in time."""
    numbers = itertools.count()
    with (
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor(_CALLERS) as callers,
    ):
        for status in callers.map(lambda _: _run_job(client, next(numbers)), range(jobs)):
            if status != "succeeded":
                raise BenchError(f"a job is {status}")


def _run_job(client: httpx2.Client, number: int) -> str:
    body = {"items": [{"text": f"第{number}家店的服务很贴心"}]}
    answer = client.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
    answer.raise_for_status()
    return str(answer.json()["status"])
