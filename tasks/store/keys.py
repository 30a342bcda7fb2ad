"""How the job store names things in Redis: keys, chunks and leases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.jobs import QueueClass

PREFIX = "sentiq:"
FINISHED_CHANNEL = PREFIX + "finished"  # ids of jobs that are over
PROGRESS_CHANNEL = PREFIX + "progress"  # ids of jobs of which something changed
OPEN = PREFIX + "open"  # jobs that are not over, by the time when the reconciler closes them
UPLOADS = PREFIX + "uploads"  # jobs that grow, by the time when they count as silent
DELIVERIES = PREFIX + "deliveries"  # jobs whose webhook is to be delivered, by when
COUNTERS = PREFIX + "counters"
OWNERS = PREFIX + "owners"  # how many items of each owner are not done
WORKERS = PREFIX + "workers"
UNACKED = PREFIX + "unacked"


def pending_key(queue_class: QueueClass) -> str:
    """Sorted set of refs nobody has leased, oldest first."""
    return f"{PREFIX}pending:{queue_class}"


def backlog_key(queue_class: QueueClass) -> str:
    """Hash of what waits in a class and how fast it drains, see `lua/include/backlog.lua`."""
    return f"{PREFIX}queue:{queue_class}"


def leased_key(queue_class: QueueClass) -> str:
    """Sorted set of leased refs by the time their lease ends."""
    return f"{PREFIX}leased:{queue_class}"


def leases_key(worker: str) -> str:
    """Hash of the refs that children of a worker hold, with the pid of each child."""
    return f"{PREFIX}leases:{worker}"


def job_key(job_id: str, part: str = "") -> str:
    """Key of a job's record, or of a part of it.

    `in` payloads, `out` outcomes, `tokens` fencing tokens, `order` starts of chunks as they ended, `kept`
    texts of failed items, `hook` delivery of its end.
    """
    return f"{PREFIX}job:{job_id}{':' if part else ''}{part}"


def tombstone_key(job_id: str) -> str:
    """Key of what is told of a job without a record, where its id and the settings do not tell it."""
    return f"{PREFIX}tombstone:{job_id}"


def owner_jobs_key(owner: str) -> str:
    """Sorted set of an owner's job ids, which sort by age."""
    return f"{PREFIX}jobs:{owner}"


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """A chunk as the queues name it; `cost` counts code points to score, `attempts` its leases."""

    job_id: str
    start: int
    cost: int
    attempts: int = 0

    @classmethod
    def of(cls, chunk: Chunk, attempts: int = 0) -> ChunkRef:
        """Name a chunk."""
        return cls(chunk.job_id, chunk.start, chunk.cost, attempts)

    @classmethod
    def parse(cls, raw: bytes) -> ChunkRef:
        """Read what `str` wrote."""
        job_id, start, cost, attempts = raw.decode().split("/")
        return cls(job_id, int(start), int(cost), int(attempts))

    def __str__(self) -> str:
        """Write it as the queues hold it."""
        return f"{self.job_id}/{self.start}/{self.cost}/{self.attempts}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A child's right to some chunks for a time; `token` fences off whoever held them before."""

    queue_class: QueueClass
    worker: str
    token: int
    refs: Sequence[ChunkRef]
    chunks: Sequence[Chunk]
    requests: Sequence[str] = ()  # ids of the HTTP requests that the chunks came with, for the log
