"""Chunks and their results, and how both are written down: a million items must fit into Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from tasks.jobs import Counts, Item, ItemError, ItemResult, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring items of one job. `start` is the index of the first and names the chunk."""

    job_id: str
    start: int
    items: Sequence[Item]

    @property
    def chars(self) -> int:
        """Code points to score: what the chunk costs, known before tokenisation."""
        return sum(len(item.text) for item in self.items)

    def encode(self) -> bytes:
        """Write the payload; ids and errors only where there are any."""
        return to_json(
            {
                "texts": [item.text for item in self.items],
                "ids": {i: item.id for i, item in enumerate(self.items) if item.id is not None},
                "errors": {
                    i: (item.error, item.chars) for i, item in enumerate(self.items) if item.error is not None
                },
            }
        )

    @classmethod
    def decode(cls, job_id: str, start: int, payload: bytes) -> Chunk:
        """Read what `encode` wrote."""
        raw = from_json(payload)
        ids, errors = raw["ids"], raw["errors"]
        items = []
        for i, text in enumerate(raw["texts"]):
            code, chars = errors.get(str(i), (None, len(text)))
            items.append(Item(text, chars, ids.get(str(i)), ItemError(code) if code else None))
        return cls(job_id, start, items)

    def split(self) -> list[Chunk]:
        """One chunk for each item, so that a text that kills its child does so alone."""
        return [Chunk(self.job_id, self.start + i, [item]) for i, item in enumerate(self.items)]


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The outcomes of a chunk, in the order of its items."""

    chunk: Chunk
    outcomes: Sequence[Outcome]
    attempts: int

    def __post_init__(self) -> None:
        """Refuse results that do not match their items one to one."""
        if len(self.outcomes) != len(self.chunk.items):
            message = f"{len(self.outcomes)} outcomes for {len(self.chunk.items)} items"
            raise ValueError(message)

    @property
    def counts(self) -> Counts:
        """How many items ended how."""
        succeeded = sum(isinstance(outcome, Verdict) for outcome in self.outcomes)
        timed_out = sum(outcome is ItemError.DEADLINE_EXCEEDED for outcome in self.outcomes)
        total = len(self.outcomes)
        return Counts(total, succeeded, total - succeeded - timed_out, timed_out)

    def encode(self) -> bytes:
        """Write the outcomes without the texts, compactly: a million of them must fit."""
        items = self.chunk.items
        return to_json(
            {
                "attempts": self.attempts,
                "ids": {i: item.id for i, item in enumerate(items) if item.id is not None},
                "items": [
                    [item.chars, *_encode(outcome)]
                    for item, outcome in zip(items, self.outcomes, strict=True)
                ],
            }
        )


def read_results(start: int, payload: bytes) -> Iterator[ItemResult]:
    """Yield the items of a chunk from what `ChunkResult.encode` wrote."""
    raw = from_json(payload)
    for i, (chars, *outcome) in enumerate(raw["items"]):
        yield ItemResult(start + i, raw["ids"].get(str(i)), chars, raw["attempts"], _decode(outcome))


def _encode(outcome: Outcome) -> list[Any]:
    if isinstance(outcome, Verdict):
        return [round(outcome.positive_prob, 6), outcome.tokens, int(outcome.truncated)]
    return [outcome.value]


def _decode(raw: list[Any]) -> Outcome:
    if len(raw) == 1:
        return ItemError(raw[0])
    return Verdict(positive_prob=raw[0], tokens=raw[1], truncated=bool(raw[2]))
