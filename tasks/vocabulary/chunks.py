"""Chunks and their results, and how both are written down: a million items must fit into Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from tasks.vocabulary.items import Item, ItemError, ItemResult, ItemStatus, Outcome
from tasks.vocabulary.jobs import Counts
from tasks.vocabulary.options import PLAIN, Options
from tasks.vocabulary.verdicts import Highlight, Sentence, TooManyTokens, Verdict

_UNCERTAIN, _CACHED = 1, 2  # bits of one number


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring items of one job. `start` is the index of the first and names the chunk."""

    job_id: str
    start: int
    items: Sequence[Item]
    options: Options = PLAIN

    @property
    def cost(self) -> int:
        """Code points to score, repeats included: known before tokenisation."""
        return sum(self.options.cost(len(item.text)) for item in self.items)

    def encode(self) -> bytes:
        """Write the payload; ids, errors and options only where there are any."""
        options = self.options.encode()
        return to_json(
            {
                "texts": [item.text for item in self.items],
                "ids": {i: item.id for i, item in enumerate(self.items) if item.id is not None},
                "errors": {
                    i: (item.error, item.chars) for i, item in enumerate(self.items) if item.error is not None
                },
            }
            | ({"options": options} if options else {})
        )

    @classmethod
    def decode(cls, job_id: str, start: int, payload: bytes) -> Chunk:
        """Read what `encode` wrote."""
        raw = from_json(payload)
        ids, errors = raw["ids"], raw["errors"]
        items = [Item(text, len(text)) for text in raw["texts"]]
        for i, (code, chars) in errors.items():
            items[int(i)] = Item("", chars, error=ItemError(code))
        for i, caller_id in ids.items():
            items[int(i)] = items[int(i)]._replace(id=caller_id)
        return cls(job_id, start, items, Options.decode(raw.get("options", {})))

    def split(self) -> list[Chunk]:
        """One chunk for each item, so that a text that kills its child does so alone."""
        return [Chunk(self.job_id, self.start + i, [item], self.options) for i, item in enumerate(self.items)]


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The outcomes of a chunk, in the order of its items. `model` (`id@revision`) gave its verdicts."""

    chunk: Chunk
    outcomes: Sequence[Outcome]
    attempts: int
    model: str | None = None

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
        canceled = sum(outcome is ItemError.CANCELED for outcome in self.outcomes)
        total = len(self.outcomes)
        return Counts(total, succeeded, total - succeeded - timed_out - canceled, timed_out, canceled)

    @property
    def counters(self) -> dict[str, int]:
        """What is counted when it is written: items by code, and by how often they were started."""
        codes = Counter(map(_code, self.outcomes))
        items = {f"items:{code}": count for code, count in codes.items()}
        return items | {f"attempts:{self.attempts}": codes.total()}

    @property
    def kept(self) -> Chunk | None:
        """The items worth another try, for as long as the results are kept; None when there are none."""
        items = [
            item
            for item, outcome in zip(self.chunk.items, self.outcomes, strict=True)
            if isinstance(outcome, ItemError) and outcome.retryable
        ]
        return replace(self.chunk, items=items) if items else None

    @classmethod
    def given_up(cls, chunk: Chunk, error: ItemError, attempts: int) -> ChunkResult:
        """The same error for every item that had none already."""
        return cls(chunk, [item.error or error for item in chunk.items], attempts)

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
            | ({"model": self.model} if self.model else {})
        )


def read_results(start: int, payload: bytes) -> Iterator[ItemResult]:
    """Yield the items of a chunk from what `ChunkResult.encode` wrote."""
    raw = from_json(payload)
    attempts, model = raw["attempts"], raw.get("model")
    for i, (chars, *outcome) in enumerate(raw["items"]):
        yield ItemResult(start + i, raw["ids"].get(str(i)), chars, attempts, _decode(outcome), model)


def _code(outcome: Outcome) -> str:
    if isinstance(outcome, Verdict):
        return ItemStatus.SUCCEEDED
    return ItemError.TEXT_TOO_LONG if isinstance(outcome, TooManyTokens) else outcome


def _encode(outcome: Outcome) -> list[Any]:
    if isinstance(outcome, Verdict):
        return _encode_verdict(outcome)
    if isinstance(outcome, TooManyTokens):
        return [ItemError.TEXT_TOO_LONG, outcome.tokens, outcome.limit]
    return [outcome.value]


def _decode(raw: list[Any]) -> Outcome:
    if raw[0] == ItemError.TEXT_TOO_LONG and len(raw) > 1:
        return TooManyTokens(*raw[1:])
    return ItemError(raw[0]) if isinstance(raw[0], str) else _decode_verdict(raw)


def _encode_verdict(verdict: Verdict) -> list[Any]:
    """Three numbers, and behind them what few verdicts have."""
    raw: list[Any] = [round(verdict.positive_prob, 6), verdict.tokens, verdict.text_tokens - verdict.tokens]
    rare: list[Any] = [verdict.uncertain * _UNCERTAIN | verdict.cached * _CACHED, None, None]
    if verdict.sentences is not None:
        rare[1] = [[each.start, each.end, *_encode_verdict(each.verdict)] for each in verdict.sentences]
    if verdict.highlights is not None:
        rare[2] = [[each.start, each.end, round(each.weight, 6)] for each in verdict.highlights]
    while rare and rare[-1] in (0, None):
        rare.pop()
    return raw + rare


def _decode_verdict(raw: list[Any]) -> Verdict:
    probability, tokens, left_out = raw[:3]
    flags, sentences, highlights = raw[3:] + [0, None, None][len(raw) - 3 :]
    return Verdict(
        probability,
        tokens,
        tokens + left_out,
        bool(flags & _UNCERTAIN),
        None
        if sentences is None
        else [Sentence(each[0], each[1], _decode_verdict(each[2:])) for each in sentences],
        None if highlights is None else [Highlight(*each) for each in highlights],
        bool(flags & _CACHED),
    )
