"""A day of a deployment whose number of workers follows the load, by one of three measures.

Work is a fluid here: seconds of a worker's core that arrive, wait and are done, in steps of some seconds.
Queues inside the service are far shorter than the minutes that a worker takes to start.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.simulate.loads import DAY_S, Rate

STEP_S = 5.0
_UTILIZATION = 0.7  # what a scaler by CPU aims at


@dataclass(frozen=True)
class Scaling:
    """How workers come and go: `target_wait_s` is how long work may wait, `start_s` how long a start takes.

    `usual_job_texts` is the size of a job for which the threshold on the length of the queue is set.
    """

    least: int
    most: int
    target_wait_s: float = 30.0
    start_s: float = 60.0
    every_s: float = 15.0
    keep_s: float = 300.0  # fewer only after this long, so that a dip stops nobody
    usual_job_texts: int = 1000


@dataclass
class State:
    """What a scaler sees: waiting work in seconds and in jobs, ready workers, and how busy they were."""

    workers: int
    work_s: float = 0.0
    jobs: float = 0.0
    utilization: float = 0.0


Policy = Callable[[State, Scaling, float], float]  # the last argument: seconds of work a text


def by_pending_cost(state: State, scaling: Scaling, _text_s: float) -> float:
    """Return the workers that do the waiting work in time, beside those that keep up."""
    return state.workers * state.utilization + state.work_s / scaling.target_wait_s


def by_cpu(state: State, _scaling: Scaling, _text_s: float) -> float:
    """Return the workers that would be busy for 70 % of their time: at most 1.43 times those that run."""
    return state.workers * state.utilization / _UTILIZATION


def by_queue_length(state: State, scaling: Scaling, text_s: float) -> float:
    """Return the workers that do the waiting jobs in time if each is as large as usual."""
    usual_s = state.jobs * scaling.usual_job_texts * text_s
    return state.workers * state.utilization + usual_s / scaling.target_wait_s


POLICIES: dict[str, Policy] = {
    "pending cost": by_pending_cost,
    "CPU at 70 %": by_cpu,
    "queue length": by_queue_length,
}


@dataclass
class Day:
    """What a day saw: worker seconds that were paid for, and the wait of the texts that arrived, by step."""

    worker_s: float = 0.0
    texts: float = 0.0
    waits: list[tuple[float, float]] = field(default_factory=list)  # seconds, texts
    series: list[tuple[float, float, float]] = field(default_factory=list)  # time, workers, wait

    def wait_s(self, share: float) -> float:
        """Return the wait that so large a share of the texts did not exceed."""
        left = share * self.texts
        for seconds, texts in sorted(self.waits):
            left -= texts
            if left <= 0:
                return seconds
        return max(self.waits)[0]

    def within(self, seconds: float) -> float:
        """Return the share of texts that waited no longer."""
        return sum(texts for wait, texts in self.waits if wait <= seconds) / self.texts


@dataclass(frozen=True)
class Demand:
    """Texts per second by the time of day, in jobs whose sizes are log-normal around a mean."""

    rate: Rate
    text_s: float
    mean_job_texts: float = 1000.0
    spread: float = 2.0  # the sigma of the logarithm: most jobs are small, most texts are in large ones
    seed: int = 1


def run_day(demand: Demand, scaling: Scaling, policy: Policy, seconds: float = DAY_S) -> Day:
    """Return what a day saw with workers scaled by a policy, from a start at the load of midnight."""
    env, day = simpy.Environment(), Day()
    state = State(max(scaling.least, math.ceil(demand.rate(0) * demand.text_s / _UTILIZATION)))
    starting: deque[tuple[float, int]] = deque()
    env.process(_flow(env, demand, state, day, starting))
    env.process(_scale(env, demand, state, (scaling, policy), starting))
    env.run(until=seconds)
    return day


def _flow(
    env: simpy.Environment, demand: Demand, state: State, day: Day, starting: deque[tuple[float, int]]
) -> Generator[simpy.Event, Any, None]:
    chance = random.Random(demand.seed)  # noqa: S311  a seed must give the same day again
    log_mean = math.log(demand.mean_job_texts) - demand.spread**2 / 2
    while True:
        while starting and starting[0][0] <= env.now:
            state.workers += starting.popleft()[1]
        jobs = _poisson(chance, demand.rate(env.now) * STEP_S / demand.mean_job_texts)
        sizes = [chance.lognormvariate(log_mean, demand.spread) for _ in range(jobs)]
        wait = state.work_s / max(1, state.workers)
        _arrived(state, day, sizes, demand.text_s, wait)
        done = min(state.work_s, state.workers * STEP_S)
        state.jobs *= 1 - done / state.work_s if state.work_s else 0
        state.work_s -= done
        busy = done / (max(1, state.workers) * STEP_S)
        # A minute's average, as a metrics server has it.
        state.utilization += (busy - state.utilization) * STEP_S / 60
        day.worker_s += (state.workers + sum(count for _, count in starting)) * STEP_S
        day.series.append((env.now, state.workers, wait))
        yield env.timeout(STEP_S)


def _arrived(state: State, day: Day, sizes: list[float], text_s: float, wait: float) -> None:
    texts = sum(sizes)
    state.work_s += texts * text_s
    state.jobs += len(sizes)
    day.texts += texts
    day.waits.append((wait, texts))


def _scale(
    env: simpy.Environment,
    demand: Demand,
    state: State,
    how: tuple[Scaling, Policy],
    starting: deque[tuple[float, int]],
) -> Generator[simpy.Event, Any, None]:
    scaling, policy = how
    wanted: deque[tuple[float, int]] = deque()
    while True:
        yield env.timeout(scaling.every_s)
        desired = math.ceil(policy(state, scaling, demand.text_s))
        wanted.append((env.now, min(scaling.most, max(scaling.least, desired))))
        while wanted[0][0] < env.now - scaling.keep_s:
            wanted.popleft()
        coming = sum(count for _, count in starting)
        if wanted[-1][1] > state.workers + coming:
            starting.append((env.now + scaling.start_s, wanted[-1][1] - state.workers - coming))
        else:
            state.workers = min(state.workers, max(count for _, count in wanted))


def _poisson(chance: random.Random, mean: float) -> int:
    """Return a Poisson number; a rounded normal one where the mean is large."""
    if mean > 50:  # noqa: PLR2004  the usual bound of the approximation
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        count += 1
    return count
