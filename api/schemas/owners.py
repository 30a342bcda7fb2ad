"""Bodies of responses about all owners."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, closed
from tasks.vocabulary.jobs import QueueClass


@closed
class OwnerQueue(TypedDict):
    """The items of an owner in a queue, its share of it now, and when they should be done."""

    model: str
    priority: QueueClass
    items: Count
    share: Annotated[float, Field(ge=0, le=1)]
    eta_s: float | None


@closed
class Owner(TypedDict):
    """What an owner has open and kept; `name` is null once the key is revoked.

    `paused_items` are those of the pending ones that are paused; they are in none of the queues.
    """

    object: Literal["owner"]
    owner: str
    name: str | None
    weight: float
    pending_items: Count
    paused_items: Count
    open_jobs: Count
    kept_bytes: int
    queues: list[OwnerQueue]


@closed
class Owners(TypedDict):
    """All owners that have anything open or kept, those with the most open items first."""

    object: Literal["list"]
    data: list[Owner]
