"""Chunks: neighbouring items of one job, which are leased, scored and completed together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from tasks.vocabulary.items import Item, ItemError, ItemStatus, Outcome
from tasks.vocabulary.jobs import Counts
from tasks.vocabulary.options import DEFAULT_MAX_TOKENS, PLAIN, Options
from tasks.vocabulary.verdicts import Scored, TooManyTokens, Verdict


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring items of one job. `start` is the index of the first and names the chunk.

    `max_tokens` is what the pack reads at once, as it was known when the chunk was priced.
    `trace` is what it keeps of a request that is traced, as `tasks.tracing.trace.stamp` writes it.
    """

    job_id: str
    start: int
    items: Sequence[Item]
    options: Options = PLAIN
    max_tokens: int = DEFAULT_MAX_TOKENS
    trace: str = ""

    @property
    def cost(self) -> int:
        """Return the code points that the model reads of it at most; see `Options.cost`."""
        return sum(
            self.options.with_aspects(item.aspects).cost(item.text, self.max_tokens) for item in self.items
        )

    def split(self) -> list[Chunk]:
        """Return a chunk for each item, so that a text that kills its child does so alone."""
        return [replace(self, start=self.start + i, items=[item]) for i, item in enumerate(self.items)]


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """A chunk as the queues name it; `cost` counts code points to read, `attempts` its leases.

    `returns` counts the sick children that returned it. Each was another process, since a sick one ends.
    """

    job_id: str
    start: int
    cost: int
    attempts: int = 0
    returns: int = 0

    @classmethod
    def of(cls, chunk: Chunk, attempts: int = 0, returns: int = 0) -> ChunkRef:
        """Return the ref of a chunk."""
        return cls(chunk.job_id, chunk.start, chunk.cost, attempts, returns)

    @classmethod
    def parse(cls, raw: bytes) -> ChunkRef:
        """Read what `str` wrote."""
        job_id, *numbers = raw.decode().split("/")
        start, cost, attempts, returns = map(int, numbers)
        return cls(job_id, start, cost, attempts, returns)

    def __str__(self) -> str:
        """Write it as the queues hold it."""
        return f"{self.job_id}/{self.start}/{self.cost}/{self.attempts}/{self.returns}"


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The outcomes of a chunk, in the order of its items. `model` (`id@revision`) gave its verdicts."""

    chunk: Chunk
    outcomes: Sequence[Outcome]
    attempts: int
    model: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless there is one outcome for each item."""
        if len(self.outcomes) != len(self.chunk.items):
            message = f"{len(self.outcomes)} outcomes for {len(self.chunk.items)} items"
            raise ValueError(message)

    @property
    def counts(self) -> Counts:
        """Return the number of items by outcome."""
        succeeded = sum(isinstance(outcome, Scored) for outcome in self.outcomes)
        timed_out = sum(outcome is ItemError.DEADLINE_EXCEEDED for outcome in self.outcomes)
        canceled = sum(outcome is ItemError.CANCELED for outcome in self.outcomes)
        total = len(self.outcomes)
        return Counts(total, succeeded, total - succeeded - timed_out - canceled, timed_out, canceled)

    @property
    def verdicts(self) -> Iterator[Verdict]:
        """Yield the verdicts of all items; of an item with aspects, that on each of them."""
        return chain.from_iterable(end.verdicts for end in self.outcomes if isinstance(end, Scored))

    @property
    def computed(self) -> int:
        """Return the number of items whose verdicts took the model's work: those that are not cached."""
        return sum(isinstance(outcome, Scored) and not outcome.cached for outcome in self.outcomes)

    @property
    def counters(self) -> dict[str, int]:
        """Return what the store counts when it is written, for the model that the job asked for.

        Items by code and by number of attempts, verdicts by label, and those that are uncertain.
        """
        verdicts = list(self.verdicts)
        counts = Counter(f"items:{code_of(outcome)}" for outcome in self.outcomes)
        counts[f"attempts:{self.attempts}"] = len(self.outcomes)
        counts.update(f"verdicts:{verdict.label}" for verdict in verdicts)
        if uncertain := sum(verdict.uncertain for verdict in verdicts):
            counts["uncertain"] = uncertain
        return dict(counts)

    @property
    def retryable(self) -> Chunk | None:
        """Return the items worth a retry, whose texts are kept as long as the results; None without any."""
        items = [
            item
            for item, outcome in zip(self.chunk.items, self.outcomes, strict=True)
            if isinstance(outcome, ItemError) and outcome.retryable
        ]
        return replace(self.chunk, items=items) if items else None

    @classmethod
    def given_up(cls, chunk: Chunk, error: ItemError, attempts: int) -> ChunkResult:
        """Return the same error for every item that had none already."""
        return cls(chunk, [item.error or error for item in chunk.items], attempts)


def code_of(outcome: Outcome) -> str:
    """Return `succeeded`, or the code of the error."""
    if isinstance(outcome, Scored):
        return ItemStatus.SUCCEEDED
    return ItemError.TEXT_TOO_LONG if isinstance(outcome, TooManyTokens) else outcome
