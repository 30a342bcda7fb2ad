"""Idempotency keys: which job a request made, so that its repetition makes no other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tasks.errors import IdempotencyKeyInFlightError, IdempotencyKeyReusedError
from tasks.store.keys import PREFIX

REMEMBERED_MS = 86_400_000

# Where nothing ever is, for requests without a key. Redis's access lists know every key by its prefix.
_NOWHERE = PREFIX + "idempotency:none"
# Stands where the hash of the body will be, as long as the body is still coming in.
_OPEN = "open"


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key of an owner, with the hash of the body it came with; None while that is still coming in."""

    owner: str
    text: str
    body: str | None = None

    @property
    def redis_key(self) -> str:
        """Where Redis remembers it: `<hash of the body> <job id>`."""
        name = hashlib.sha256(f"{self.owner}\0{self.text}".encode()).hexdigest()
        return f"{PREFIX}idempotency:{name}"

    @property
    def fingerprint(self) -> str:
        """What is remembered in front of the job id."""
        return self.body or _OPEN

    def replays(self, remembered: bytes) -> str:
        """Return the id of the job that this key made.

        Raises KeyInFlightError while its first body is still coming in, KeyReusedError when that was another.
        """
        mark, job_id = remembered.decode().split(" ")
        if mark == _OPEN:
            raise IdempotencyKeyInFlightError(self.text)
        if self.body is not None and mark != self.body:
            raise IdempotencyKeyReusedError(self.text)
        return job_id


def redis_key_of(key: IdempotencyKey | None) -> str:
    """Return where Redis remembers a key, and of none a place where nothing is."""
    return key.redis_key if key else _NOWHERE


def digest(body: bytes) -> str:
    """Hash a canonical body."""
    return hashlib.sha256(body).hexdigest()
