"""A large upload: its cost in the API and in Redis, and whether every result streams back in order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx2
import psutil
import redis

from bench.program import BenchError
from local.stack import Stack

_NDJSON = "application/x-ndjson"
_BATCH_LINES = 500


def upload_and_read(stack: Stack, redis_url: str, texts: Sequence[str], items: int) -> dict[str, Any]:
    """Send `items` lines, wait for the job, and read all results as lines; return the figures.

    Raise BenchError if results are missing or out of order.
    """
    store = redis.Redis.from_url(redis_url)
    with httpx2.Client(base_url=stack.url, timeout=120, trust_env=False) as http, watched_api(stack) as api:
        empty, start = used_bytes(store), time.monotonic()
        answer = http.post("/v1/jobs", content=_lines(texts, items), headers={"content-type": _NDJSON})
        upload_s = time.monotonic() - start
        job = answer.raise_for_status().json()
        uploaded = used_bytes(store)
        job = finished_job(stack, http, job)
        job_s, finished = time.monotonic() - start, used_bytes(store)
        start = time.monotonic()
        _check_results(http, job, items)
        stream_s = time.monotonic() - start
        growth = api["max"] - api["before"]
        http.delete(job["links"]["self"])
    return {
        "items": items,
        "upload_s": round(upload_s, 1),
        "over_after_s": round(job_s, 1),
        "stream_s": round(stream_s, 1),
        "api_rss_before_mb": round(api["before"] / 1e6, 1),
        "api_rss_growth_mb": round(growth / 1e6, 1),
        "redis_bytes_an_item_when_uploaded": round((uploaded - empty) / items),
        "redis_bytes_an_item_when_over": round((finished - empty) / items),
        "text_bytes": round(sum(len(text.encode()) for text in texts) / len(texts)),
    }


def _lines(texts: Sequence[str], items: int) -> Iterator[bytes]:
    for first in range(0, items, _BATCH_LINES):
        numbers = range(first, min(items, first + _BATCH_LINES))
        yield "".join(
            json.dumps(texts[number % len(texts)], ensure_ascii=False) + "\n" for number in numbers
        ).encode()


def finished_job(stack: Stack, http: httpx2.Client, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until the job finishes; return its last state."""
    while job["poll_after_ms"] is not None:
        stack.check()
        answer = http.get(job["links"]["self"], headers={"prefer": "wait=30"})
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:  # a busy machine may be late
            job = answer.raise_for_status().json()
    return job


def _check_results(http: httpx2.Client, job: dict[str, Any], items: int) -> None:
    """Read all results; raise BenchError unless they come in order with a complete end line."""
    count, last = 0, {}
    with http.stream("GET", job["links"]["results"], headers={"accept": _NDJSON}) as answer:
        for line in answer.iter_lines():
            last = json.loads(line)
            if last.get("index") == count:
                count += 1
    end = (last.get("object"), last.get("complete"), last.get("returned"))
    if count != items or end != ("end", True, items):
        raise BenchError(f"{count} of {items} results in order, then {last}")


@contextmanager
def watched_api(stack: Stack) -> Iterator[dict[str, int]]:
    """Sample the resident memory of all processes of the API; yield it in bytes, before and at most."""
    top = next(psutil.Process(process.pid) for process in stack.processes if process.name == "api")
    processes = [top, *top.children(recursive=True)]

    def resident() -> int:
        return sum(process.memory_info().rss for process in processes)

    before = resident()
    sizes, done = {"before": before, "max": before}, threading.Event()

    def sample() -> None:
        while not done.wait(0.1):
            sizes["max"] = max(sizes["max"], resident())

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield sizes
    finally:
        done.set()
        sampler.join()


def used_bytes(store: redis.Redis) -> int:
    """Return the memory that Redis uses, in bytes."""
    info: Any = store.info("memory")
    return int(info["used_memory"])
