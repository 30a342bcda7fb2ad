"""Who calls: whose jobs the caller sees, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key may be allowed."""

    SUBMIT = "submit"  # create jobs, and read what these calls answer
    READ = "read"  # read jobs, results, limits and queues
    CANCEL = "cancel"  # cancel and delete jobs
    ADMIN = "admin"  # all of these


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner` is the id of the key, and "" where no keys are asked for; `address` is where it calls from."""

    owner: str
    scopes: frozenset[Scope]
    address: str

    def may(self, scope: Scope) -> bool:
        """Whether the key has the scope; `admin` has all."""
        return bool(self.scopes & {scope, Scope.ADMIN})

    @property
    def identity(self) -> str:
        """Whom rates are counted for: the key, or the address where there are none."""
        return f"key:{self.owner}" if self.owner else f"address:{self.address}"
