"""How chunks and their results are written down: compactly, since a million items must fit into Redis."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, ItemResult, Outcome
from tasks.vocabulary.labels import LabelSet
from tasks.vocabulary.options import DEFAULT_MAX_TOKENS, Options, Probabilities
from tasks.vocabulary.verdicts import DIGITS, AspectVerdicts, Highlight, Sentence, TooManyTokens, Verdict

LabelsOf = Callable[[str | None], LabelSet]

_ASPECTS = ""  # stands before the verdicts on aspects, where the code of an error would
_UNCERTAIN, _CACHED, _SHOWS_NONE, _UNFAMILIAR = 1, 2, 4, 8  # bits of one number


def encode_chunk(chunk: Chunk) -> bytes:
    """Write the texts of a chunk; ids, errors, lines, groups, trace, options and the pack's limit if any."""
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
    if aspects := _own_aspects(chunk.items):
        payload["aspects"] = aspects
    if chunk.max_tokens != DEFAULT_MAX_TOKENS:
        payload["max_tokens"] = chunk.max_tokens
    if chunk.trace:
        payload["trace"] = chunk.trace
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
    for i, aspects in raw.get("aspects", {}).items():
        items[int(i)] = items[int(i)]._replace(aspects=tuple(aspects))
    if groups := raw.get("groups"):
        items = [item._replace(group=group) for item, group in zip(items, groups, strict=True)]
    max_tokens = raw.get("max_tokens", DEFAULT_MAX_TOKENS)
    options = Options.decode(raw.get("options", {}))
    return Chunk(job_id, start, items, options, max_tokens, raw.get("trace", ""))


def encode_results(result: ChunkResult) -> bytes:
    """Write the outcomes of a chunk without its texts."""
    items, asked = result.chunk.items, result.chunk.options.probabilities
    outcomes = [_encode(outcome, asked) for outcome in result.outcomes]
    payload: dict[str, Any] = {
        "attempts": result.attempts,
        "ids": {i: item.id for i, item in enumerate(items) if item.id is not None},
        "items": [[item.chars, *outcome] for item, outcome in zip(items, outcomes, strict=True)],
    }
    if lines := _lines(items):
        payload["lines"] = lines
    if aspects := _own_aspects(items):
        payload["own_aspects"] = aspects
    if any(verdict.unfamiliar is not None for verdict in result.verdicts):
        payload["seen"] = True
    if result.chunk.options.aspects:
        payload["aspects"] = result.chunk.options.aspects
    return to_json(payload | ({"model": result.model} if result.model else {}))


def decode_results(
    start: int, payload: bytes, labels_of: LabelsOf, wanted: Container[int] | None = None
) -> Iterator[ItemResult]:
    """Yield the items of the chunk that begins at `start` from what `encode_results` wrote.

    `labels_of` returns the labels of a model, which the results name by number only. `wanted` are the indexes
    of items, all if left out.
    """
    raw = from_json(payload)
    attempts, model, lines = raw["attempts"], raw.get("model"), raw.get("lines", {})
    reader = _Reader(labels_of(model), seen=raw.get("seen", False))
    own, aspects = raw.get("own_aspects", {}), raw.get("aspects", ())
    for i, (chars, *written) in enumerate(raw["items"]):
        if wanted is not None and start + i not in wanted:
            continue
        caller_id, line = raw["ids"].get(str(i)), lines.get(str(i))
        outcome = reader.outcome(written, own.get(str(i), aspects))
        yield ItemResult(start + i, caller_id, chars, attempts, outcome, model, line=line)


def _lines(items: Sequence[Item]) -> dict[int, int]:
    return {i: item.line for i, item in enumerate(items) if item.line is not None}


def _own_aspects(items: Sequence[Item]) -> dict[int, tuple[str, ...]]:
    return {i: item.aspects for i, item in enumerate(items) if item.aspects}


def _encode(outcome: Outcome, asked: Probabilities | None) -> list[Any]:
    if isinstance(outcome, Verdict):
        return _encode_verdict(outcome, asked)
    if isinstance(outcome, AspectVerdicts):
        return [_ASPECTS, outcome.cached, *(_encode_verdict(each, asked) for each in outcome.verdicts)]
    if isinstance(outcome, TooManyTokens):
        return [ItemError.TEXT_TOO_LONG, outcome.tokens, outcome.limit]
    return [outcome.value]


def _encode_verdict(verdict: Verdict, asked: Probabilities | None) -> list[Any]:
    """Write the probabilities and two numbers, then the fields that few verdicts have."""
    kept = verdict.keep(asked)
    raw: list[Any] = [_encode_probabilities(kept), verdict.tokens, verdict.text_tokens - verdict.tokens]
    hidden = kept.shows is Probabilities.NONE
    flags = verdict.uncertain * _UNCERTAIN | verdict.cached * _CACHED | hidden * _SHOWS_NONE
    flags |= bool(verdict.unfamiliar) * _UNFAMILIAR
    rare: list[Any] = [flags, None, None]
    if verdict.sentences is not None:
        rare[1] = [_encode_sentence(each, asked) for each in verdict.sentences]
    if verdict.highlights is not None:
        rare[2] = [[each.start, each.end, round(each.weight, DIGITS)] for each in verdict.highlights]
    while rare and rare[-1] in (0, None):
        rare.pop()
    return raw + rare


def _encode_probabilities(verdict: Verdict) -> float | list[float] | dict[str, Any]:
    """Write the second of two probabilities, or all of more; kept ones by number, with the score of all."""
    rounded = {number: round(each, DIGITS) for number, each in verdict.kept.items()}
    if verdict.shows is not Probabilities.ALL:
        score = verdict.score_of_all
        return {str(number): each for number, each in rounded.items()} | {
            "score": score and round(score, DIGITS)
        }
    return rounded[1] if len(rounded) == 2 else [rounded[i] for i in range(len(rounded))]  # noqa: PLR2004  the other is 1 less it


def _decode_probabilities(raw: float | list[float] | dict[str, Any]) -> tuple[dict[int, float], float | None]:
    if isinstance(raw, dict):
        score = raw.pop("score")
        return {int(number): each for number, each in raw.items()}, score
    if isinstance(raw, list):
        return dict(enumerate(raw)), None
    return {0: 1 - raw, 1: raw}, None


def _encode_sentence(sentence: Sentence, asked: Probabilities | None) -> list[Any]:
    return [sentence.start, sentence.end, *_encode_verdict(sentence.verdict, asked)]


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the outcomes of one model. `seen`: its pack records which tokens it has seen in training."""

    labels: LabelSet
    seen: bool

    def outcome(self, raw: list[Any], aspects: Sequence[str]) -> Outcome:
        if raw[0] == _ASPECTS:
            verdicts = list(map(self._verdict, raw[2:]))
            return AspectVerdicts(list(zip(aspects, verdicts, strict=True)), cached=raw[1])
        if raw[0] == ItemError.TEXT_TOO_LONG and len(raw) > 1:
            return TooManyTokens(*raw[1:])
        return ItemError(raw[0]) if isinstance(raw[0], str) else self._verdict(raw)

    def _verdict(self, raw: list[Any]) -> Verdict:
        probabilities, tokens, unread = raw[:3]
        flags, sentences, highlights = raw[3:] + [0, None, None][len(raw) - 3 :]
        kept, score = _decode_probabilities(probabilities)
        some = Probabilities.NONE if flags & _SHOWS_NONE else Probabilities.TOP3
        return Verdict(
            self.labels,
            kept,
            tokens,
            tokens + unread,
            uncertain=bool(flags & _UNCERTAIN),
            unfamiliar=bool(flags & _UNFAMILIAR) if self.seen else None,
            sentences=None if sentences is None else list(map(self._sentence, sentences)),
            highlights=None if highlights is None else [Highlight(*each) for each in highlights],
            cached=bool(flags & _CACHED),
            shows=some if isinstance(probabilities, dict) else Probabilities.ALL,
            score_of_all=score,
        )

    def _sentence(self, raw: list[Any]) -> Sentence:
        return Sentence(raw[0], raw[1], self._verdict(raw[2:]))
