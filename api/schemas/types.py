"""Types that bodies and queries share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, with_config

from tasks.vocabulary.labels import LABEL_ID

# What is printed on a terminal, which control characters would steer.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
# Rejects unknown members: an additional one would change the contract.
closed = with_config(ConfigDict(extra="forbid"))

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Probability = Annotated[float, Field(ge=0, le=1)]
LabelId = Annotated[str, Field(json_schema_extra={"pattern": f"^{LABEL_ID.pattern}$"})]
ScopeName = Literal["submit", "read", "cancel", "admin", "operator"]
Count = Annotated[int, Field(ge=0)]


def _time(raw: object) -> datetime:
    try:
        time = datetime.fromisoformat(raw) if isinstance(raw, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or not 1970 <= time.year < 9999:  # noqa: PLR2004  a sane calendar
        raise ValueError("Input should be a time with an offset, like 2026-01-31T08:00:00Z")
    return time


_TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 64})
AwareTime = Annotated[datetime, BeforeValidator(_time), _TIME_SCHEMA]
