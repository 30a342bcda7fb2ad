"""Webhooks of a job: where deliveries go, for which events, and how they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic_core import from_json, to_json


class Event(StrEnum):
    """The end of a job: `job.` and its terminal status."""

    SUCCEEDED = "job.succeeded"
    PARTIAL = "job.partial"
    FAILED = "job.failed"
    CANCELED = "job.canceled"
    TIMED_OUT = "job.timed_out"


TEST_EVENT = "webhook.test"  # no job ends with it: an operator has it sent


class DeliveryStatus(StrEnum):
    """The state of a delivery. All but the first are final."""

    PENDING = "pending"  # an attempt is under way or will be made
    DELIVERED = "delivered"  # the receiver answered 2xx
    GONE = "gone"  # the receiver answered 410: it wants no more
    EXHAUSTED = "exhausted"  # no attempt was answered with 2xx, and no other will be made


@dataclass(frozen=True, slots=True)
class Webhook:
    """A receiver given when the job was created. `url` is normalised and names no refused address."""

    url: str
    host: str
    events: Sequence[Event] = tuple(Event)

    def encode(self) -> bytes:
        """Return what the script that finishes the job reads."""
        return to_json(self)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read what `encode` wrote."""
        read = from_json(raw)
        return cls(read["url"], read["host"], [Event(event) for event in read["events"]])
