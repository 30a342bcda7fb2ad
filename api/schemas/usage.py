"""Bodies of responses about usage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, closed

Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
PeriodName = Annotated[str, Field(json_schema_extra={"pattern": r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$"})]


@closed
class UsageSum(TypedDict):
    """Items that ended, those of them with an error; characters, tokens and model time of the others."""

    items: Count
    errors: Count
    characters: Count
    tokens: Count
    model_seconds: Annotated[float, Field(ge=0)]


@closed
class UsageRow(UsageSum):
    """The usage of a day or of a whole month, and of a model; null: of all."""

    period: PeriodName | None
    model: str | None


@closed
class OwnUsage(TypedDict):
    """The usage of the caller's jobs."""

    object: Literal["list"]
    first: Day
    last: Day
    data: list[UsageRow]
    total: UsageSum


@closed
class OwnerUsageRow(UsageRow):
    """The usage of a key; `name` is null once it is revoked, `owner` empty for callers without a key."""

    owner: str
    name: str | None


@closed
class AllUsage(TypedDict):
    """The usage of all owners."""

    object: Literal["list"]
    first: Day
    last: Day
    data: list[OwnerUsageRow]
    total: UsageSum
