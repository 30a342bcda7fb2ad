"""Bodies of responses that report an error."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from api.schemas.pauses import KnownPause
from api.schemas.types import closed


@closed
class FieldError(TypedDict):
    """An invalid field: a JSON pointer into the body, `?name` for the query, or the name of a header."""

    pointer: str
    code: str
    detail: str


@closed
class ExceededLimit(TypedDict):
    """The limit that was met: of the key where it has its own, else of the service."""

    name: str
    value: float | list[str]
    of: Literal["key", "service"]


class Problem(TypedDict):
    """A problem document (RFC 9457): `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: NotRequired[list[FieldError]]
    retry_after_s: NotRequired[float]
    job_id: NotRequired[str]
    limit: NotRequired[ExceededLimit]
    recorded_items: NotRequired[int]
    feasible_deadline_s: NotRequired[int]
    paused: NotRequired[KnownPause | None]


class KnownProblem(TypedDict):
    """The error with which a call for this job alone would be answered."""

    status: int
    code: str
    detail: str
