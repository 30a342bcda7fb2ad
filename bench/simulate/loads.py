"""Loads of a simulated cluster: callers that wait, and jobs that arrive by a rate which may change."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import simpy

from bench.simulate.cluster import Cluster, Seen
from bench.simulate.deployment import Deployment
from bench.simulate.parts import Parts

Rate = Callable[[float], float]  # per second, at a second of the run
DAY_S = 86_400


@dataclass(frozen=True)
class Burst:
    """From when on, for how long, and how many times the usual load."""

    start_s: float
    seconds: float
    times: float


def diurnal(per_day: float, *, swing: float = 0.6, bursts: tuple[Burst, ...] = ()) -> Rate:
    """Return a rate that swings by a sine over the day, highest at 14:00, with bursts on top."""

    def rate(now: float) -> float:
        wave = 1 + swing * math.cos(2 * math.pi * (now / DAY_S - 14 / 24))
        more = math.prod(each.times for each in bursts if each.start_s <= now < each.start_s + each.seconds)
        return per_day / DAY_S * wave * more

    return rate


@dataclass(frozen=True)
class Run:
    """How long a run lasts, how many texts each of its jobs has, and its seed."""

    job_texts: int
    seconds: float
    seed: int


@dataclass(frozen=True)
class Arrivals:
    """Jobs of `job_texts` that arrive by a Poisson process whose rate never exceeds `peak` per second."""

    job_texts: int
    rate: Rate
    peak: float
    seed: int

    @classmethod
    def steady(cls, run: Run, jobs_per_s: float) -> Arrivals:
        """Return arrivals at a constant rate."""
        return cls(run.job_texts, lambda _: jobs_per_s, jobs_per_s, run.seed)

    def start(self, env: simpy.Environment, cluster: Cluster) -> None:
        """Let the jobs arrive at a cluster from now on."""
        env.process(self._arrive(env, cluster))

    def _arrive(self, env: simpy.Environment, cluster: Cluster) -> Generator[simpy.Event, Any, None]:
        chance = random.Random(self.seed)  # noqa: S311  as in the cluster
        while True:
            yield env.timeout(chance.expovariate(self.peak))
            # Thinning: of arrivals at the highest rate, as many are kept as the rate now says.
            if chance.random() * self.peak < self.rate(env.now):
                env.process(cluster.submit(self.job_texts))


def run_closed(parts: Parts, deployment: Deployment, run: Run, callers: int) -> Seen:
    """Run callers who each wait for their job before they submit the next; return what was seen."""
    env = simpy.Environment()
    cluster = Cluster(env, parts, deployment, run.seed)

    def call() -> Generator[simpy.Event, Any, None]:
        while True:
            yield env.process(cluster.submit(run.job_texts))

    for _ in range(callers):
        env.process(call())
    env.run(until=run.seconds)
    return cluster.seen


def run_open(parts: Parts, deployment: Deployment, run: Run, jobs_per_s: float) -> Seen:
    """Run jobs that arrive by a Poisson process of a constant rate; return what was seen."""
    env = simpy.Environment()
    cluster = Cluster(env, parts, deployment, run.seed)
    Arrivals.steady(run, jobs_per_s).start(env, cluster)
    env.run(until=run.seconds)
    return cluster.seen
