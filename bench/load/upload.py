"""A large upload: what it costs the API and Redis, and whether every result streams back in order."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import psutil
import redis

from local.stack import Stack

_NDJSON = "application/x-ndjson"
_LINES_AT_ONCE = 500


class WrongResultsError(Exception):
    """The stream of results is not what was promised."""


def upload_and_read(stack: Stack, redis_url: str, texts: Sequence[str], items: int) -> dict[str, Any]:
    """Send `items` lines, wait for the job, read all results as lines; return the figures."""
    store = redis.Redis.from_url(redis_url)
    with httpx2.Client(base_url=stack.url, timeout=120, trust_env=False) as http, _peak_of(stack) as api:
        empty, start = _used(store), time.monotonic()
        answer = http.post("/v1/jobs", content=_lines(texts, items), headers={"content-type": _NDJSON})
        uploaded = time.monotonic() - start
        job = answer.raise_for_status().json()
        recorded = _used(store)
        while job["poll_after_ms"] is not None:
            stack.check()
            job = http.get(job["links"]["self"], headers={"prefer": "wait=30"}).raise_for_status().json()
        scored, kept = time.monotonic() - start, _used(store)
        start = time.monotonic()
        _read(http, job, items)
        streamed = time.monotonic() - start
        growth = api["most"] - api["before"]
        http.delete(job["links"]["self"])
    return {
        "items": items,
        "upload_s": round(uploaded, 1),
        "over_after_s": round(scored, 1),
        "stream_s": round(streamed, 1),
        "api_rss_before_mb": round(api["before"] / 1e6, 1),
        "api_rss_growth_mb": round(growth / 1e6, 1),
        "redis_bytes_an_item_when_uploaded": round((recorded - empty) / items),
        "redis_bytes_an_item_when_over": round((kept - empty) / items),
        "text_bytes": round(sum(len(text.encode()) for text in texts) / len(texts)),
    }


def _lines(texts: Sequence[str], items: int) -> Iterator[bytes]:
    for first in range(0, items, _LINES_AT_ONCE):
        numbers = range(first, min(items, first + _LINES_AT_ONCE))
        yield "".join(
            json.dumps(texts[number % len(texts)], ensure_ascii=False) + "\n" for number in numbers
        ).encode()


def _read(http: httpx2.Client, job: dict[str, Any], items: int) -> None:
    count, last = 0, {}
    with http.stream("GET", job["links"]["results"], headers={"accept": _NDJSON}) as answer:
        for line in answer.iter_lines():
            last = json.loads(line)
            if last.get("index") == count:
                count += 1
    if count != items or (last.get("object"), last.get("complete"), last.get("returned")) != (
        "end",
        True,
        items,
    ):
        raise WrongResultsError(f"{count} of {items} results in order, then {last}")


@contextmanager
def _peak_of(stack: Stack) -> Iterator[dict[str, int]]:
    """Watch the resident memory of all processes of the API."""
    top = next(psutil.Process(process.pid) for process in stack.processes if process.name == "api")
    processes = [top, *top.children(recursive=True)]
    first = sum(process.memory_info().rss for process in processes)
    seen, done = {"before": first, "most": first}, threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            seen["most"] = max(seen["most"], sum(process.memory_info().rss for process in processes))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _used(store: redis.Redis) -> int:
    info: Any = store.info("memory")
    return int(info["used_memory"])
