"""The caller of a request: a key with its scopes and limits, or an address where keys are not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import g

from api.auth.key_record import ApiKey
from api.auth.scopes import OF_ADMIN, Scope
from tasks.vocabulary.key_limits import SERVICE_LIMITS, KeyLimits


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner` is the id of the key, or "" where keys are not used; `address` is the client's IP address."""

    owner: str
    scopes: frozenset[Scope]
    address: str
    key: ApiKey | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the caller has the scope; `admin` includes all but `operator`."""
        return scope in self.scopes or (scope in OF_ADMIN and Scope.ADMIN in self.scopes)

    @property
    def identity(self) -> str:
        """Whose requests are counted together: those of a key, or of an address where keys are not used."""
        return f"key:{self.owner}" if self.owner else f"address:{self.address}"

    @property
    def limits(self) -> KeyLimits:
        """Return the limits of the key; those of the service where keys are not used."""
        return self.key.limits if self.key else SERVICE_LIMITS


def caller() -> Caller:
    """Return the caller of the request that is being handled; its view needs a key."""
    return cast("Caller", g.caller)
