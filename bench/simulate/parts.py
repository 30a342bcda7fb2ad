"""What each part of the service costs by itself, as `python -m bench.simulate calibrate` measures it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.program import BenchError

Cost = tuple[float, float]  # seconds of Redis, bytes over its network


@dataclass(frozen=True)
class Call:
    """A call of Redis: microseconds of its one thread, and bytes in and out, with a part for each chunk."""

    base_us: float = 0.0
    chunk_us: float = 0.0
    base_bytes: float = 0.0
    chunk_bytes: float = 0.0

    def cost(self, chunks: int) -> Cost:
        """Return the seconds and the bytes of a call that handles `chunks` chunks."""
        return (
            (self.base_us + self.chunk_us * chunks) / 1e6,
            self.base_bytes + self.chunk_bytes * chunks,
        )


@dataclass(frozen=True)
class Parts:
    """The costs of all parts. A chunk has `chunk_texts` texts.

    `chunk_s` are measured seconds of the engine for a chunk, on a core of its own; `child_chunk_s` is what a
    child adds to each, in codecs and in Celery. `idle_us_per_s` and `idle_bytes_per_s` are what a worker that
    has nothing to do costs Redis.
    """

    chunk_texts: int
    chunk_s: list[float]
    child_chunk_s: float = 0.0
    api_job_s: float = 0.0
    api_text_s: float = 0.0
    create: Call = field(default_factory=Call)
    wake: Call = field(default_factory=Call)
    lease: Call = field(default_factory=Call)
    finish: Call = field(default_factory=Call)
    read: Call = field(default_factory=Call)
    idle_us_per_s: float = 0.0
    idle_bytes_per_s: float = 0.0
    measured: dict[str, Any] = field(default_factory=dict)

    @property
    def text_s(self) -> float:
        """Return the mean seconds of a worker's core for a text."""
        return (sum(self.chunk_s) / len(self.chunk_s) + self.child_chunk_s) / self.chunk_texts

    def redis_text_us(self, leased_chunks: int, job_texts: int) -> float:
        """Return the microseconds of Redis for a text, in jobs and leases of that size."""
        chunks = -(-job_texts // self.chunk_texts)
        job = [self.create.cost(chunks), self.wake.cost(chunks), self.read.cost(chunks)]
        leases = [self.lease.cost(leased_chunks), self.finish.cost(leased_chunks)]
        for_job = sum(seconds for seconds, _ in job) / job_texts
        for_lease = sum(seconds for seconds, _ in leases) / (leased_chunks * min(self.chunk_texts, job_texts))
        return 1e6 * (for_job + for_lease)

    def redis_text_bytes(self, leased_chunks: int, job_texts: int) -> float:
        """Return the bytes to and from Redis for a text, in jobs and leases of that size."""
        chunks = -(-job_texts // self.chunk_texts)
        job = [self.create.cost(chunks), self.wake.cost(chunks), self.read.cost(chunks)]
        leases = [self.lease.cost(leased_chunks), self.finish.cost(leased_chunks)]
        return sum(sent for _, sent in job) / job_texts + sum(sent for _, sent in leases) / (
            leased_chunks * min(self.chunk_texts, job_texts)
        )


def write_parts(parts: Parts, path: Path) -> None:
    """Write the costs as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(parts), indent=2) + "\n", "utf-8")


def read_parts(path: Path) -> Parts:
    """Read what `write_parts` wrote. Raise BenchError if the file is absent or of another form."""
    try:
        read: dict[str, Any] = json.loads(path.read_text("utf-8"))
        read |= {name: Call(**read[name]) for name in ("create", "wake", "lease", "finish", "read")}
        return Parts(**read)
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path} is no calibration ({error}): run python -m bench.simulate calibrate"
        raise BenchError(message) from error
