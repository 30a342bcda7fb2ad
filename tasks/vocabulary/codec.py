"""How chunks and their results are written down: compactly, since a million items must fit into Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, ItemResult, Outcome
from tasks.vocabulary.options import DEFAULT_MAX_TOKENS, Options
from tasks.vocabulary.verdicts import Highlight, Sentence, TooManyTokens, Verdict

_UNCERTAIN, _CACHED = 1, 2  # bits of one number


def encode_chunk(chunk: Chunk) -> bytes:
    """Write the texts of a chunk; ids, errors, lines, groups, options and the pack's limit if not usual."""
    options = chunk.options.encode()
    payload: dict[str, Any] = {
        "texts": [item.text for item in chunk.items],
        "ids": {i: item.id for i, item in enumerate(chunk.items) if item.id is not None},
        "errors": {
            i: (item.error, item.chars) for i, item in enumerate(chunk.items) if item.error is not None
        },
    }
    if any(item.group for item in chunk.items):
        payload["groups"] = [item.group for item in chunk.items]
    if lines := _lines(chunk.items):
        payload["lines"] = lines
    if chunk.max_tokens != DEFAULT_MAX_TOKENS:
        payload["max_tokens"] = chunk.max_tokens
    return to_json(payload | ({"options": options} if options else {}))


def decode_chunk(job_id: str, start: int, payload: bytes) -> Chunk:
    """Read what `encode_chunk` wrote."""
    raw = from_json(payload)
    items = [Item(text, len(text)) for text in raw["texts"]]
    for i, (code, chars) in raw["errors"].items():
        items[int(i)] = Item("", chars, error=ItemError(code))
    for i, caller_id in raw["ids"].items():
        items[int(i)] = items[int(i)]._replace(id=caller_id)
    for i, line in raw.get("lines", {}).items():
        items[int(i)] = items[int(i)]._replace(line=line)
    if groups := raw.get("groups"):
        items = [item._replace(group=group) for item, group in zip(items, groups, strict=True)]
    max_tokens = raw.get("max_tokens", DEFAULT_MAX_TOKENS)
    return Chunk(job_id, start, items, Options.decode(raw.get("options", {})), max_tokens)


def encode_results(result: ChunkResult) -> bytes:
    """Write the outcomes of a chunk without its texts."""
    items = result.chunk.items
    payload: dict[str, Any] = {
        "attempts": result.attempts,
        "ids": {i: item.id for i, item in enumerate(items) if item.id is not None},
        "items": [[item.chars, *_encode(each)] for item, each in zip(items, result.outcomes, strict=True)],
    }
    if lines := _lines(items):
        payload["lines"] = lines
    return to_json(payload | ({"model": result.model} if result.model else {}))


def decode_results(start: int, payload: bytes) -> Iterator[ItemResult]:
    """Yield the items of the chunk that begins at `start` from what `encode_results` wrote."""
    raw = from_json(payload)
    attempts, model, lines = raw["attempts"], raw.get("model"), raw.get("lines", {})
    for i, (chars, *outcome) in enumerate(raw["items"]):
        caller_id, line = raw["ids"].get(str(i)), lines.get(str(i))
        yield ItemResult(start + i, caller_id, chars, attempts, _decode(outcome), model, line=line)


def _lines(items: Sequence[Item]) -> dict[int, int]:
    return {i: item.line for i, item in enumerate(items) if item.line is not None}


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
    """Write three numbers, and behind them what few verdicts have."""
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
    probability, tokens, unread = raw[:3]
    flags, sentences, highlights = raw[3:] + [0, None, None][len(raw) - 3 :]
    return Verdict(
        probability,
        tokens,
        tokens + unread,
        uncertain=bool(flags & _UNCERTAIN),
        sentences=None if sentences is None else list(map(_decode_sentence, sentences)),
        highlights=None if highlights is None else [Highlight(*each) for each in highlights],
        cached=bool(flags & _CACHED),
    )


def _decode_sentence(raw: list[Any]) -> Sentence:
    return Sentence(raw[0], raw[1], _decode_verdict(raw[2:]))
