"""How large a simulated service is, and what follows from that alone."""

from __future__ import annotations

from dataclasses import dataclass

from bench.simulate.parts import Parts


@dataclass(frozen=True)
class Deployment:
    """How large the service is. `rtt_s` lies between Redis and all others, `bytes_per_s` is its network."""

    workers: int
    api_processes: int = 1
    redis_servers: int = 1
    rtt_s: float = 0.0
    bytes_per_s: float = 1.25e9  # 10 Gbit/s
    lease_work_s: float = 0.5
    lease_s: float = 30.0
    children_a_worker: int = 8


def leased_chunks(parts: Parts, deployment: Deployment) -> int:
    """Return the chunks of a lease: half a second of work, at least one chunk."""
    return max(1, int(deployment.lease_work_s / (parts.text_s * parts.chunk_texts)))


def idle_share(parts: Parts, deployment: Deployment) -> float:
    """Return the share of a Redis that its workers use when they have nothing to do."""
    workers = deployment.workers / deployment.children_a_worker / deployment.redis_servers
    return workers * parts.idle_us_per_s / 1e6
