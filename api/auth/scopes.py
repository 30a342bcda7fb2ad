"""Scopes, and the caller of a request who has some."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"  # create jobs, and read the responses to these calls
    READ = "read"  # read jobs, results, limits and the backlog
    CANCEL = "cancel"  # cancel and delete jobs
    ADMIN = "admin"  # all of these


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner` is the id of the key, or "" where keys are not used; `address` is the client's IP address."""

    owner: str
    scopes: frozenset[Scope]
    address: str

    def may(self, scope: Scope) -> bool:
        """Return whether the caller has the scope; `admin` includes all."""
        return bool(self.scopes & {scope, Scope.ADMIN})

    @property
    def identity(self) -> str:
        """Whose requests are counted together: those of a key, or of an address where keys are not used."""
        return f"key:{self.owner}" if self.owner else f"address:{self.address}"
