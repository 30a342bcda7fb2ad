"""What a submission returns, and how logs name the caller."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.vocabulary.jobs import Job


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted job; `replayed` if an earlier request with the same idempotency key made it."""

    job: Job
    replayed: bool = False


def whose(owner: str) -> str:
    """Return who made a job, for the log: the id of a key is no secret."""
    return f"key {owner}" if owner else "no key"
