"""Idempotency keys: which job a request made, so that repeating the request makes no other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tasks.errors import IdempotencyKeyInFlightError, IdempotencyKeyReusedError
from tasks.store.keys import idempotency_key

REMEMBERED_MS = 86_400_000
# Stands in place of the body's hash while the body is still coming in. `lua/close_upload.lua` knows it too.
OPEN = "open"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key of an owner, with the hash of the body that it came with; None while that is still coming in."""

    owner: str
    text: str
    body: str | None = None

    @property
    def redis_key(self) -> str:
        """Return the Redis key that holds `<fingerprint> <job id>`."""
        return idempotency_key(hashlib.sha256(f"{self.owner}\0{self.text}".encode()).hexdigest())

    @property
    def fingerprint(self) -> str:
        """Return what is remembered in front of the job id."""
        return self.body or OPEN

    def replays(self, remembered: bytes) -> str:
        """Return the id of the job that this key made.

        Raises IdempotencyKeyInFlightError while its first body is still coming in, IdempotencyKeyReusedError
        when that body was another.
        """
        fingerprint, job_id = remembered.decode().split(" ")
        if fingerprint == OPEN:
            raise IdempotencyKeyInFlightError(self.text)
        if self.body is not None and fingerprint != self.body:
            raise IdempotencyKeyReusedError(self.text)
        return job_id


def digest(body: bytes) -> str:
    """Return the hash of a canonical body."""
    return hashlib.sha256(body).hexdigest()
