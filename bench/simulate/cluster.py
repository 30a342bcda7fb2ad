"""The service as a discrete-event model: API, Redis servers, and workers that lease, score and finish.

A Redis is one thread: a call holds it for its seconds, or for as long as its bytes need on the wire if that
is longer. A worker child is tied to one Redis. A job is on the Redis that its id names.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import simpy

from bench.simulate.deployment import Deployment, idle_share, leased_chunks
from bench.simulate.parts import Cost, Parts

Process = Generator[simpy.Event, Any, Any]
Draw = Callable[[random.Random, int], float]  # number of texts -> seconds that a worker takes for them


@dataclass
class Seen:
    """What a run observed: texts done by when, and the seconds from submit to results read of each job."""

    done: list[tuple[float, int]] = field(default_factory=list)
    jobs: list[tuple[float, float]] = field(default_factory=list)  # submitted when, took how long
    api_busy_s: float = 0.0
    redis_busy_s: float = 0.0
    worker_busy_s: float = 0.0
    sent_bytes: float = 0.0

    def rate(self, start: float, end: float) -> float:
        """Return the texts per second that were done between two times."""
        return sum(texts for when, texts in self.done if start <= when < end) / (end - start)

    def latencies(self, start: float = 0.0, end: float = float("inf")) -> list[float]:
        """Return the seconds of the jobs that were submitted between two times and have finished."""
        return [took for when, took in self.jobs if start <= when < end]


@dataclass
class _Job:
    left: int
    over: simpy.Event


@dataclass
class _Chunk:
    job: _Job
    texts: int


class _Redis:
    """One server: its thread, the chunks that wait in it, and the workers that have nothing to do."""

    def __init__(self, env: simpy.Environment, slowdown: float) -> None:
        self.thread = simpy.Resource(env)
        self.slowdown = slowdown
        self.pending: deque[_Chunk] = deque()
        self.idle: deque[simpy.Event] = deque()

    def add(self, chunks: Iterator[_Chunk]) -> None:
        """Add chunks and wake a worker for each."""
        for chunk in chunks:
            self.pending.append(chunk)
            if self.idle:
                self.idle.popleft().succeed()


class Cluster:
    """A deployment in an environment of SimPy; `submit` is a process, and `seen` fills while it runs."""

    def __init__(
        self,
        env: simpy.Environment,
        parts: Parts,
        deployment: Deployment,
        seed: int,
        draw: Draw | None = None,
    ) -> None:
        """`draw` gives the seconds of a chunk in place of those that were measured."""
        self.seen = Seen()
        self._env, self._parts, self._deployment = env, parts, deployment
        self._chance = random.Random(seed)  # noqa: S311  a seed must give the same run again
        self._draw = draw or self._measured
        self._api = simpy.Resource(env, deployment.api_processes)
        self._servers = [_Redis(env, self._slowdown()) for _ in range(deployment.redis_servers)]
        self._leased_chunks = leased_chunks(parts, deployment)
        self._workers = [
            env.process(self._work(self._servers[number % len(self._servers)]))
            for number in range(deployment.workers)
        ]

    def _slowdown(self) -> float:
        """Return how much longer calls take because idle workers, too, ask a Redis for something."""
        used = idle_share(self._parts, self._deployment)
        return 1 / (1 - used) if used < 1 else float("inf")

    def submit(self, texts: int) -> Process:
        """Submit a job, wait for it, and read its results: a process that ends with the seconds it took."""
        parts, start, redis = self._parts, self._env.now, self._chance.choice(self._servers)
        yield from self._ask_api(parts.api_job_s / 2 + parts.api_text_s * texts)
        sizes = _sizes(texts, parts.chunk_texts)
        yield from self._call(redis, parts.create.cost(len(sizes)))
        job = _Job(len(sizes), self._env.event())
        redis.add(_Chunk(job, size) for size in sizes)
        yield from self._call(redis, parts.wake.cost(len(sizes)))
        yield job.over
        yield from self._call(redis, parts.read.cost(len(sizes)))
        yield from self._ask_api(parts.api_job_s / 2)
        self.seen.jobs.append((start, self._env.now - start))
        return self._env.now - start

    def lose(self, share: float) -> None:
        """Stop a share of the workers at once; their chunks come back when their leases end."""
        for worker in self._workers[: round(share * len(self._workers))]:
            if worker.is_alive:
                worker.interrupt()

    def _work(self, redis: _Redis) -> Process:
        held: list[_Chunk] = []
        try:
            while True:
                while not redis.pending:
                    redis.idle.append(self._env.event())
                    yield redis.idle[-1]
                count = min(self._leased_chunks, len(redis.pending))
                held = [redis.pending.popleft() for _ in range(count)]
                yield from self._call(redis, self._parts.lease.cost(count))
                yield from self._score(held)
                yield from self._call(redis, self._parts.finish.cost(count))
                self._finish(held)
                held = []
        except simpy.Interrupt:
            yield self._env.timeout(self._deployment.lease_s if held else 0)
            redis.add(iter(held))

    def _score(self, held: list[_Chunk]) -> Process:
        seconds = sum(self._draw(self._chance, chunk.texts) for chunk in held)
        self.seen.worker_busy_s += seconds
        yield self._env.timeout(seconds)

    def _finish(self, held: list[_Chunk]) -> None:
        self.seen.done.append((self._env.now, sum(chunk.texts for chunk in held)))
        for chunk in held:
            chunk.job.left -= 1
            if not chunk.job.left:
                chunk.job.over.succeed()

    def _measured(self, chance: random.Random, texts: int) -> float:
        parts = self._parts
        return (chance.choice(parts.chunk_s) + parts.child_chunk_s) * texts / parts.chunk_texts

    def _call(self, redis: _Redis, cost: Cost) -> Process:
        seconds, sent = cost
        hold = max(seconds * redis.slowdown, sent / self._deployment.bytes_per_s)
        self.seen.sent_bytes += sent
        if self._deployment.rtt_s:
            yield self._env.timeout(self._deployment.rtt_s / 2)
        if hold:
            with redis.thread.request() as turn:
                yield turn
                yield self._env.timeout(hold)
            self.seen.redis_busy_s += hold
        if self._deployment.rtt_s:
            yield self._env.timeout(self._deployment.rtt_s / 2)

    def _ask_api(self, seconds: float) -> Process:
        if seconds:
            with self._api.request() as turn:
                yield turn
                yield self._env.timeout(seconds)
            self.seen.api_busy_s += seconds


def _sizes(texts: int, chunk_texts: int) -> list[int]:
    whole, rest = divmod(texts, chunk_texts)
    return [chunk_texts] * whole + [rest] * bool(rest)
