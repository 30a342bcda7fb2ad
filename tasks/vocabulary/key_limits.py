"""The limits of one API key, in place of those of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """None stands for the limit of the service, or for all models and classes.

    `rate` is in requests a second, `burst` the requests at once; the others count items and jobs that are not
    finished. `classes` are values of `QueueClass`.
    """

    rate: float | None = None
    burst: int | None = None
    max_pending_items: int | None = None
    max_concurrent_jobs: int | None = None
    models: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    def encode(self) -> dict[str, Any]:
        """Return the limits that differ from those of the service, as JSON has them."""
        values = {name: getattr(self, name) for name in LIMIT_NAMES}
        return {name: value for name, value in values.items() if value is not None}

    @classmethod
    def decode(cls, read: Mapping[str, Any]) -> KeyLimits:
        """Read what `encode` wrote; names of another version are left out."""
        known = {name: read[name] for name in LIMIT_NAMES if read.get(name) is not None}
        lists: dict[str, Any] = {name: tuple(known[name]) for name in ("models", "classes") if name in known}
        return cls(**(known | lists))

    def allow_model(self, model: str) -> bool:
        """Return whether jobs may name the model."""
        return self.models is None or model in self.models

    def allow_class(self, queue_class: str) -> bool:
        """Return whether jobs may be of the class."""
        return self.classes is None or queue_class in self.classes


LIMIT_NAMES = tuple(field.name for field in fields(KeyLimits))
SERVICE_LIMITS = KeyLimits()
