"""Bodies of responses about the summary of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, Probability, closed
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import JobStatus
from tasks.vocabulary.options import MAX_ASPECT_CHARS
from tasks.vocabulary.tallies import BINS

Share = Probability | None


@closed
class LabelCount(TypedDict):
    """Items with a label, and their share of the items with a verdict; null without any."""

    label: str
    label_zh: str
    items: Count
    share: Share


class Tally(TypedDict):
    """Items by outcome.

    `uncertain_share` and `truncated_share` are shares of the items with a verdict, null without any;
    `error_share` is one of all finished items. `confidence` counts verdicts in 20 equal steps from 0 to 1.
    """

    items: Count
    labels: list[LabelCount]
    mean_score: Annotated[float, Field(ge=-1, le=1)] | None
    uncertain: Count
    uncertain_share: Share
    truncated: Count
    truncated_share: Share
    errors: Count
    error_share: Share
    confidence: Annotated[list[Count], Field(min_length=BINS, max_length=BINS)]


@closed
class GroupTally(Tally):
    """The items with one value in the field that the job is summarised by."""

    value: str | float | bool


@closed
class OtherTally(Tally):
    """The items whose value, or the verdicts whose aspect, is not counted by itself."""


@closed
class AspectTally(Tally):
    """The verdicts on one aspect, each as an item."""

    aspect: Annotated[str, Field(min_length=1, max_length=MAX_ASPECT_CHARS)]


@closed
class Summary(Tally):
    """The finished items of a job by outcome; `complete`: none of its items is pending.

    With `by`, `groups` has the first 1,000 values in input order, and `other` counts the remaining items.
    `aspects` has those of the job and then up to 64 of single items, and `other_aspects` counts the verdicts
    on the remaining ones; both are null while no aspect has a verdict.
    """

    object: Literal["summary"]
    job_id: str
    status: JobStatus
    complete: bool
    summarize_by: str | None
    error_codes: Mapping[ItemError, Count]
    groups: list[GroupTally] | None
    other: OtherTally | None
    aspects: list[AspectTally] | None
    other_aspects: OtherTally | None
