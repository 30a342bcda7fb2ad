"""The vocabulary of a job: states, items, verdicts, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.options import PLAIN, Options


class JobStatus(StrEnum):
    """What a job as a whole is doing. Terminal states are final."""

    QUEUED = "queued"  # recorded; no child has leased any of it
    RUNNING = "running"  # at least one chunk was leased
    SUCCEEDED = "succeeded"  # every item has a verdict
    PARTIAL = "partial"  # some items have a verdict, some failed
    FAILED = "failed"  # no item has a verdict
    TIMED_OUT = "timed_out"  # the deadline passed before every item was done

    @property
    def terminal(self) -> bool:
        """Whether nothing about the job will change any more."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


class ItemStatus(StrEnum):
    """What became of one text."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class ItemError(StrEnum):
    """Why an item has no verdict: stable public codes."""

    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    INFERENCE_FAILED = "inference_failed"
    WORKER_LOST = "worker_lost"
    DEADLINE_EXCEEDED = "deadline_exceeded"


class QueueClass(StrEnum):
    """Small jobs do not wait behind large ones."""

    INTERACTIVE = "interactive"
    BULK = "bulk"

    @property
    def queue(self) -> str:
        """Name of the Celery queue that rings for this class."""
        return f"sentiq.{self.value}"

    @classmethod
    def of_queue(cls, queue: str) -> QueueClass:
        """Return the class that a Celery queue rings for."""
        return next(queue_class for queue_class in cls if queue_class.queue == queue)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says about one text. Tokens are counted with the special ones.

    It read `tokens` of the text's `text_tokens`. `sentences` and `highlights` are None unless asked for.
    """

    positive_prob: float
    tokens: int
    text_tokens: int
    uncertain: bool = False
    sentences: Sequence[Sentence] | None = None
    highlights: Sequence[Highlight] | None = None

    @property
    def truncated(self) -> bool:
        """Whether a part of the text was not read."""
        return self.tokens < self.text_tokens

    @property
    def label(self) -> str:
        """`positive` or `negative`; an exact tie is positive."""
        return "positive" if self.positive_prob >= 0.5 else "negative"  # noqa: PLR2004  the midpoint

    @property
    def negative_prob(self) -> float:
        """Probability of `negative`."""
        return 1 - self.positive_prob

    @property
    def confidence(self) -> float:
        """Probability of the label."""
        return max(self.positive_prob, self.negative_prob)

    @property
    def score(self) -> float:
        """From -1, surely negative, to 1, surely positive."""
        return self.positive_prob - self.negative_prob


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its own verdict: code points `start` to `end` of the text as submitted."""

    start: int
    end: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Highlight:
    """How much a clause pulls the score, above zero towards positive; a text's weights are 1 together."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class TooManyTokens:
    """Why a text has no verdict whose job rejects long ones: ItemError.TEXT_TOO_LONG, with the numbers."""

    tokens: int
    limit: int


@dataclass(frozen=True, slots=True)
class Item:
    """One text as submitted; `error` is set, and the text dropped, when it cannot be scored."""

    text: str
    chars: int
    id: str | None = None
    error: ItemError | None = None

    @classmethod
    def accept(cls, text: str, max_chars: int, caller_id: str | None = None) -> Item:
        """Keep a text that can be scored; of any other keep only why not and its length in code points."""
        if len(text) > max_chars:
            return cls("", len(text), caller_id, ItemError.TEXT_TOO_LONG)
        if not text.strip():
            return cls("", len(text), caller_id, ItemError.EMPTY_TEXT)
        return cls(text, len(text), caller_id)


Outcome = Verdict | TooManyTokens | ItemError


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item with its outcome, as the ledger keeps it."""

    index: int
    id: str | None
    chars: int
    attempts: int
    outcome: Outcome

    @property
    def status(self) -> ItemStatus:
        """Whether there is a verdict, and if not, whether time ran out."""
        if isinstance(self.outcome, Verdict):
            return ItemStatus.SUCCEEDED
        return ItemStatus.TIMED_OUT if self.outcome is ItemError.DEADLINE_EXCEEDED else ItemStatus.FAILED


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items are where; `pending` is what is left."""

    total: int
    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0

    @property
    def pending(self) -> int:
        """Items without an outcome yet."""
        return self.total - self.succeeded - self.failed - self.timed_out


@dataclass(frozen=True, slots=True)
class Job:
    """The record of a job. Times are Redis's, in milliseconds since the epoch."""

    id: str
    status: JobStatus
    queue_class: QueueClass
    counts: Counts
    created_ms: int
    deadline_ms: int
    started_ms: int | None = None
    finished_ms: int | None = None
    expires_ms: int | None = None
    model: dict[str, str] | None = field(default=None)
    options: Options = PLAIN
