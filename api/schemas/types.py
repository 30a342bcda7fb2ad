"""Types that bodies of responses share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config

from tasks.vocabulary.labels import LABEL_ID

# Rejects unknown members: an additional one would change the contract.
closed = with_config(ConfigDict(extra="forbid"))

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Probability = Annotated[float, Field(ge=0, le=1)]
LabelId = Annotated[str, Field(json_schema_extra={"pattern": f"^{LABEL_ID.pattern}$"})]
ScopeName = Literal["submit", "read", "cancel", "admin", "operator"]
Count = Annotated[int, Field(ge=0)]
