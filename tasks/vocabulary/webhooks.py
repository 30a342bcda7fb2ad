"""What a job's webhook is: where it goes, and for which events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic_core import from_json, to_json


class Event(StrEnum):
    """How a job can end: `job.` and its terminal status."""

    SUCCEEDED = "job.succeeded"
    PARTIAL = "job.partial"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    TIMED_OUT = "job.timed_out"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Asked for at creation; `url` is normalised, and no part of it names an address that is refused."""

    url: str
    host: str
    events: Sequence[Event] = tuple(Event)

    def encode(self) -> bytes:
        """Write what the script that ends the job reads."""
        return to_json(self)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read what `encode` wrote."""
        read = from_json(raw)
        return cls(read["url"], read["host"], [Event(event) for event in read["events"]])
