"""What the service returns. Fields that this version does not know are in `raw`, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import NotRequired, TypedDict

Body = Mapping[str, Any]


class Terms(TypedDict, total=False):
    """How a job is scored, prioritised and kept; docs/jobs.md explains each of them."""

    model: str
    on_long_text: str
    sentences: bool
    explain: bool
    probabilities: str
    aspects: Sequence[str]
    priority: str
    deadline_s: int
    not_before: str
    result_ttl_s: int
    metadata: Mapping[str, str]
    webhook: Mapping[str, Any]
    keep_texts: bool
    summarize_by: str
    compare_with: str
    compare_share: float


@dataclass(frozen=True)
class Item:
    """A text to score, with an id, `data` that comes back with the verdict, and aspects of its own."""

    text: str
    id: str | None = None
    data: Mapping[str, Any] | None = None
    aspects: Sequence[str] | None = None


@dataclass(frozen=True)
class ItemError:
    """Why an item has no verdict; `line` is that of an upload of rows."""

    code: str
    message: str
    line: int | None = None


class Highlight(TypedDict):
    """The pull of the characters `start` to `end` on the verdict, -1 to 1."""

    start: int
    end: int
    weight: float


class Sentence(TypedDict):
    """The verdict on the characters `start` to `end`."""

    start: int
    end: int
    label: str
    label_zh: str
    confidence: float
    score: float | None
    probabilities: dict[str, float] | None
    uncertain: bool


class AspectVerdict(TypedDict):
    """The verdict on one aspect of a text."""

    aspect: str
    label: str
    label_zh: str
    confidence: float
    score: float | None
    probabilities: dict[str, float] | None
    uncertain: bool


@dataclass(frozen=True)
class Verdict:
    """The outcome of one item: a label, or an `error`.

    A model that reads pairs gives `aspects`, each with a label of its own, and then `label` is None.
    """

    index: int
    status: str
    id: str | None
    label: str | None
    label_zh: str | None
    confidence: float | None
    score: float | None
    positive_prob: float | None
    negative_prob: float | None
    probabilities: Mapping[str, float] | None
    uncertain: bool | None
    unfamiliar: bool | None
    truncated: bool | None
    model: str | None
    error: ItemError | None
    data: Mapping[str, Any] | None
    text: str | None
    source_index: int | None
    aspects: Sequence[AspectVerdict] | None
    sentences: Sequence[Sentence] | None
    highlights: Sequence[Highlight] | None
    raw: Body

    @property
    def ok(self) -> bool:
        """Whether there is a verdict."""
        return self.error is None


@dataclass(frozen=True)
class Counts:
    """How many items of a job are in which state."""

    total: int
    pending: int
    succeeded: int
    failed: int
    canceled: int
    timed_out: int

    @property
    def finished(self) -> int:
        """The items that are not pending."""
        return self.total - self.pending


@dataclass(frozen=True)
class JobEvent:
    """A server-sent event, `snapshot`, `progress`, `done` or `gone`, with the job as it was then."""

    event: str
    id: str
    data: Body


class Label(TypedDict):
    """A label of a model."""

    id: str
    label_zh: str
    label_en: str
    polarity: NotRequired[int | None]
    emoji: str


class ModelInfo(TypedDict):
    """A model that the service knows."""

    name: str
    id: str
    revision: str
    labels: list[Label]
    input: str
    max_tokens: int
    uncertain_below: float | None
    default: bool
    retiring: bool
    workers: dict[str, int]
    classes: dict[str, Any]
