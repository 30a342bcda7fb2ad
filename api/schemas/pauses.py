"""Bodies about what is paused."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from api.schemas.types import PRINTABLE, Count, Time, closed
from tasks.vocabulary.model_names import MAX_NAME_CHARS, NAME_PATTERN
from tasks.vocabulary.pauses import MAX_REASON_CHARS, PauseKind

_MODEL = NAME_PATTERN.strip("^$")
_PATTERN = rf"^(class:(interactive|bulk)|model:{_MODEL}|owner:[0-9a-z]*)$"
_MAX_CHARS = len("model:") + MAX_NAME_CHARS
Target = Annotated[str, StringConstraints(max_length=_MAX_CHARS, pattern=_PATTERN)]
Reason = Annotated[str, StringConstraints(max_length=MAX_REASON_CHARS, pattern=PRINTABLE)]


@closed
class Pause(TypedDict):
    """What is paused: `name` of a class, a model or an owner, which is the id of a key, empty without keys.

    `items` are unfinished and held up by it, perhaps by others too.
    """

    object: Literal["pause"]
    target: str
    kind: PauseKind
    name: str
    since: Time
    by: str
    reason: str | None
    items: Count


@closed
class Pauses(TypedDict):
    """All pauses, the oldest first."""

    object: Literal["list"]
    data: list[Pause]


@closed
class KnownPause(TypedDict):
    """A pause as callers see it that it holds up: what is paused, and since when."""

    kind: PauseKind
    name: str
    since: Time


class ResumeIn(BaseModel):
    """Body of POST /v1/admin/resumes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    target: Target = Field(
        description="`class:interactive`, `class:bulk`, `model:NAME`, or `owner:ID` of a key; `owner:` "
        "stands for callers without keys."
    )


class PauseIn(ResumeIn):
    """Body of POST /v1/admin/pauses."""

    reason: Reason = Field("", description="Why, for other operators; callers do not see it.")
