"""What is simulated: from one worker to ten thousand, Redis servers, links, the loss of a zone, a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import simpy

from bench.percentiles import percentile
from bench.simulate.autoscaling import POLICIES, Demand, Scaling, run_day
from bench.simulate.cluster import Cluster
from bench.simulate.deployment import Deployment, idle_share, leased_chunks
from bench.simulate.loads import DAY_S, Arrivals, Burst, Run, diurnal, run_closed
from bench.simulate.parts import Parts

PER_DAY = 1e9
WORKERS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
SERVERS = (1, 2, 4, 8, 16, 32, 64)
RTTS_S = (0.0002, 0.001, 0.01)
JOB_TEXTS = 1000
_API_LOAD = 0.6  # of its processes, as they are provided
_LEASES = 12  # a worker, in a run: as long as the rates need to settle, and no longer
_MAX_LEASES = 60_000  # in a run


@dataclass(frozen=True)
class Prices:
    """What an hour costs: of a core, of a Redis with a core and memory. An assumption, not a measurement."""

    core_hour: float = 0.04
    redis_hour: float = 0.10
    currency: str = "USD"


@dataclass(frozen=True)
class Point:
    """A simulated deployment: its rate, its share of what the workers alone would do, and what is busy."""

    workers: int
    redis_servers: int
    rtt_s: float
    per_s: float
    share: float
    redis_busy: float
    network_busy: float
    api_busy: float
    api_processes: int
    cost_per_million: float


def simulate(parts: Parts, deployment: Deployment, seed: int, prices: Prices) -> Point:
    """Return what a deployment does while more jobs wait than it can lease."""
    chunks = leased_chunks(parts, deployment)
    lease_s = chunks * parts.text_s * parts.chunk_texts
    seconds = lease_s * max(4, min(_LEASES, _MAX_LEASES / deployment.workers))
    callers = 2 + 3 * deployment.workers * chunks * parts.chunk_texts // JOB_TEXTS
    if idle_share(parts, deployment) >= 1:
        return _point(parts, deployment, prices, 0.0, (1.0, 0.0, 0.0))
    seen = run_closed(parts, deployment, Run(JOB_TEXTS, seconds, seed), callers)
    busy = (
        seen.redis_busy_s / seconds / deployment.redis_servers,
        seen.sent_bytes / seconds / deployment.redis_servers / deployment.bytes_per_s,
        seen.api_busy_s / seconds / deployment.api_processes,
    )
    return _point(parts, deployment, prices, seen.rate(seconds / 3, seconds), busy)


def _point(
    parts: Parts, deployment: Deployment, prices: Prices, per_s: float, busy: tuple[float, float, float]
) -> Point:
    cores = deployment.workers + deployment.api_processes
    hourly = cores * prices.core_hour + deployment.redis_servers * prices.redis_hour
    return Point(
        deployment.workers,
        deployment.redis_servers,
        deployment.rtt_s,
        per_s,
        per_s * parts.text_s / deployment.workers,
        *busy,
        deployment.api_processes,
        hourly / (per_s * 3600 / 1e6) if per_s else float("inf"),
    )


def api_processes(parts: Parts, workers: int) -> int:
    """Return how many API processes, each busy 60 % of the time, serve the full rate of the workers."""
    needed = workers / parts.text_s * (parts.api_text_s + parts.api_job_s / JOB_TEXTS)
    return max(1, round(needed / _API_LOAD))


def deployment_of(parts: Parts, workers: int, servers: int = 1, rtt_s: float = RTTS_S[0]) -> Deployment:
    """Return a deployment with as many API processes as its workers need."""
    return Deployment(workers, api_processes(parts, workers), servers, rtt_s)


def workers_for(parts: Parts, texts_per_s: float, load: float = 0.7) -> int:
    """Return the workers that such a rate keeps busy for 70 % of their time."""
    return max(1, round(texts_per_s * parts.text_s / load))


def growth(parts: Parts, seed: int, prices: Prices, workers: Sequence[int] = WORKERS) -> list[dict[str, Any]]:
    """Return the rates of more and more workers on one Redis, for each round-trip time."""
    return [
        asdict(simulate(parts, deployment_of(parts, count, 1, rtt_s), seed, prices))
        for rtt_s in RTTS_S
        for count in workers
    ]


def servers(parts: Parts, seed: int, prices: Prices, workers: int = WORKERS[-1]) -> list[dict[str, Any]]:
    """Return the rates of the largest deployment with its jobs spread by id over more and more Redis."""
    return [asdict(simulate(parts, deployment_of(parts, workers, count), seed, prices)) for count in SERVERS]


def limits(parts: Parts, deployment: Deployment) -> dict[str, float]:
    """Return the texts per second at which each part ends, by arithmetic alone."""
    chunks = leased_chunks(parts, deployment)
    sent = parts.redis_text_bytes(chunks, JOB_TEXTS)
    micros = parts.redis_text_us(chunks, JOB_TEXTS)
    api_s = parts.api_text_s + parts.api_job_s / JOB_TEXTS
    return {
        "a worker": 1 / parts.text_s,
        "an API process": 1 / api_s if api_s else float("inf"),
        "one Redis": 1e6 / micros if micros else float("inf"),
        "its network": deployment.bytes_per_s / sent if sent else float("inf"),
        "workers whose idling fills one Redis": deployment.children_a_worker * 1e6 / parts.idle_us_per_s
        if parts.idle_us_per_s
        else float("inf"),
    }


def zone_loss(parts: Parts, seed: int, workers: int = 300, load: float = 0.6) -> dict[str, Any]:
    """Return the latencies before and after a third of the workers are lost at once, for minutes."""
    lost_s, seconds = 60.0, 240.0
    env = simpy.Environment()
    cluster = Cluster(env, parts, deployment_of(parts, workers), seed)
    jobs_per_s = load * workers / parts.text_s / JOB_TEXTS
    Arrivals.steady(Run(JOB_TEXTS, seconds, seed), jobs_per_s).start(env, cluster)
    env.run(until=lost_s)
    cluster.lose(1 / 3)
    env.run(until=seconds)
    windows = [(start, start + 10) for start in range(0, int(seconds), 10)]
    found = [
        (start, cluster.seen.latencies(start, end), cluster.seen.rate(start, end)) for start, end in windows
    ]
    return {
        "workers": workers,
        "load": load,
        "lost_at_s": lost_s,
        "lost": 1 / 3,
        "series": [
            {"at_s": start, "per_s": per_s, "p50_s": percentile(jobs, 0.5), "p99_s": percentile(jobs, 0.99)}
            for start, jobs, per_s in found
            if jobs
        ],
    }


def days(parts: Parts, seed: int, prices: Prices, per_day: float = PER_DAY) -> dict[str, Any]:
    """Simulate a day with two bursts once for each policy that scales the workers."""
    bursts = (Burst(10 * 3600, 900, 3), Burst(20 * 3600, 300, 5))
    rate = diurnal(per_day, bursts=bursts)
    demand = Demand(rate, parts.text_s, seed=seed)
    scaling = Scaling(least=2, most=workers_for(parts, 8 * per_day / DAY_S))
    found = {}
    for name, policy in POLICIES.items():
        day = run_day(demand, scaling, policy)
        found[name] = {
            "worker_hours": day.worker_s / 3600,
            "cost_per_million": day.worker_s / 3600 * prices.core_hour / (day.texts / 1e6),
            "p50_s": day.wait_s(0.5),
            "p99_s": day.wait_s(0.99),
            "within_target": day.within(scaling.target_wait_s),
            "series": day.series[::24],
        }
    return {"per_day": per_day, "target_wait_s": scaling.target_wait_s, "policies": found}
