"""Bodies of responses about workers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, closed

Rate = Annotated[float, Field(ge=0)]


@closed
class Child(TypedDict):
    """A child: `leased` says whether it holds a lease now, so that it scores.

    `items_per_s` is what it finished in the last minute; `memory_bytes` is resident, with what it shares.
    """

    pid: int
    state: Literal["starting", "ready"]
    leased: bool
    age_s: Rate
    items_per_s: Rate
    memory_bytes: Count | None


@closed
class Replaced(TypedDict):
    """Children of a worker that others took the place of, by why they had ended."""

    killed: Count
    sick: Count
    not_loaded: Count


@closed
class Worker(TypedDict):
    """A worker as of its last heartbeat; it is `silent` without one for 10 s, and forgotten a minute later.

    `age_s` and `memory_bytes` are those of its parent.
    """

    id: str
    object: Literal["worker"]
    host: str
    pid: int
    state: Literal["alive", "silent"]
    model: str
    pack: str
    revision: str
    engine: str
    age_s: Rate
    items_per_s: Rate
    memory_bytes: Count | None
    replaced: Replaced
    children: list[Child]


@closed
class AllWorkers(TypedDict):
    """All workers, by host."""

    object: Literal["list"]
    data: list[Worker]
