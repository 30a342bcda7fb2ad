"""What is measured of a queue: jobs of one text by many callers, the latency below capacity, and bulk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from sentiq import Sentiq

from bench.load.arrivals import first_arrivals
from bench.load.callers import Connections, closed_loop, open_loop
from bench.peers.services import SentiqService, Service
from bench.percentiles import latency_ms
from bench.program import BenchError
from bench.queues.catalogue import JOBS
from bench.redis_meter import RedisMeter
from bench.usage import TreeMeter

CALLERS = 64
SHARE = 0.5  # of the capacity, in open loop
_WARM_UP_JOBS = 200


def measure(service: Service, texts: Sequence[str], seconds: float, seed: int) -> dict[str, Any]:
    """Return the figures of single jobs, of single jobs below capacity, and of bulk, about `seconds` each."""
    requests = [service.dialect.ask([text]) for text in texts]
    warm = requests[:_WARM_UP_JOBS]
    guess = len(warm) / asyncio.run(closed_loop(service.port, warm, CALLERS)).seconds
    single = _single(service, requests[: max(CALLERS, round(guess * seconds))])
    per_s = SHARE * single["per_s"]
    times = first_arrivals(per_s, min(len(requests), max(CALLERS, round(per_s * seconds))), seed)
    below = asyncio.run(open_loop(service.port, requests[: len(times)], times))
    return {"single": single, "below": latency_ms(below.latencies_s), "bulk": _bulk(service, texts, seconds)}


def _single(service: Service, requests: Sequence[bytes]) -> dict[str, Any]:
    with TreeMeter(service.pids) as cpu, RedisMeter(service.redis_url) as redis:
        load = asyncio.run(closed_loop(service.port, requests, CALLERS))
    return {
        "jobs": len(requests),
        "per_s": len(requests) / load.seconds,
        "latency_ms": latency_ms(load.latencies_s),
        "cpu_s_per_1000": cpu.seconds * 1000 / len(requests),
        "redis": redis.per_job(len(requests)),
    }


def _bulk(service: Service, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Send thousands of jobs, one thousand after the other, for about `seconds`."""
    send = _send_to_sentiq if isinstance(service, SentiqService) else _send_many
    in_s = out_s = 0.0
    jobs = 0
    with TreeMeter(service.pids) as cpu, RedisMeter(service.redis_url) as redis:
        while out_s < seconds:
            sent, done = send(service, texts[:JOBS])
            in_s, out_s, jobs = in_s + sent, out_s + done, jobs + len(texts[:JOBS])
    return {
        "jobs": jobs,
        "in_per_s": jobs / in_s,
        "out_per_s": jobs / out_s,
        "cpu_s_per_1000": cpu.seconds * 1000 / jobs,
        "redis": redis.per_job(jobs),
    }


def _send_many(service: Service, texts: Sequence[str]) -> tuple[float, float]:
    """Return the seconds until all were submitted, and until all results were read."""

    async def ask() -> Any:
        connections = Connections(service.port)
        body = json.loads(await connections.send(service.bulk.ask(texts)))
        connections.close()
        return body

    body = asyncio.run(ask())
    if len(body["results"]) != len(texts):
        raise BenchError(f"{len(body['results'])} results of {len(texts)} jobs")
    return body["in_s"], body["out_s"]


def _send_to_sentiq(service: Service, texts: Sequence[str]) -> tuple[float, float]:
    """Do the same with one job of these texts."""
    with Sentiq(f"http://127.0.0.1:{service.port}") as client:
        start = time.monotonic()
        job = client.submit(texts)
        in_s = time.monotonic() - start
        items = [*job.wait().raw_results()]
    if len(items) != len(texts) or any(item["error"] for item in items):
        raise BenchError(f"job {job.id}: {len(items)} results of {len(texts)} texts, or errors among them")
    return in_s, time.monotonic() - start
