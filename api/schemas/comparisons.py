"""Bodies of responses about the comparison of a job with its shadow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, LabelId, Probability, closed
from tasks.vocabulary.comparisons import MAX_DIFFERENCES
from tasks.vocabulary.jobs import JobStatus


@closed
class LabelPair(TypedDict):
    """Items to which the model of the job gives `label`, and the other one `other_label`."""

    label: LabelId
    other_label: LabelId
    items: Count


@closed
class Difference(TypedDict):
    """An item to which both models give different labels."""

    index: Count
    id: str | None
    label: LabelId
    confidence: Probability
    other_label: LabelId
    other_confidence: Probability


@closed
class Comparison(TypedDict):
    """Where the model of a job and the one in `compare_with` differ, on items that both have scored by now.

    `shadow` is the job of the other model, null if there is none; `shadow_error` says why it is missing, or
    why it lacks a part of the sample. `sampled` are its items. `complete`: both jobs are finished.
    `agreement` is the share of compared items with the same label, `mean_score_difference` the mean of
    absolute differences, null if a model has no score. `differences` are the first ones in input order.
    """

    object: Literal["comparison"]
    job_id: str
    status: JobStatus
    complete: bool
    model_name: str
    compare_with: str
    compare_share: Probability
    shadow: str | None
    shadow_status: JobStatus | None
    shadow_error: str | None
    sampled: Count
    compared: Count
    agreed: Count
    agreement: Probability | None
    mean_score_difference: Annotated[float, Field(ge=0, le=2)] | None
    labels: list[LabelPair]
    differences: Annotated[list[Difference], Field(max_length=MAX_DIFFERENCES)]
