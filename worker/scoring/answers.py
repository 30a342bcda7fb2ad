"""The token rows that a question needs, and the verdict from their logits."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.labels import LabelSet
from tasks.vocabulary.verdicts import Highlight, Sentence, Verdict
from worker.scoring.familiarity import is_unfamiliar
from worker.scoring.question import Question
from worker.scoring.segmentation import Span, clauses, sentences
from worker.scoring.windows import SPECIAL, Rows, WindowedText, masked_out, windowed

Logits = NDArray[np.float64]

# A text is unreadable when this share of its words is unknown to the pack.
_UNREADABLE = 0.75


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns a pack's logits into verdicts. `unknown` is the id of [UNK]; `marks` are those of punctuation.

    `weights` are those of `token_weights`.
    """

    labels: LabelSet
    temperature: float
    uncertain_below: float
    unknown: int
    marks: AbstractSet[int]
    weights: list[int] | None

    def verdict(self, part: WindowedText, tokens: Sequence[int], logits: Logits) -> Verdict:
        """Return the verdict of `part`, which covers some or all of `tokens`, special tokens left out.

        It is uncertain if its confidence is low, or if the pack knows hardly a word of what it read.
        """
        probabilities = _softmax(part.logits(logits), self.temperature)
        verdict = Verdict(self.labels, probabilities, part.end + SPECIAL, len(tokens) + SPECIAL)
        uncertain = verdict.confidence < self.uncertain_below or self._unreadable(tokens[: part.end])
        unfamiliar = None if self.weights is None else is_unfamiliar(tokens, self.weights)
        return replace(verdict, uncertain=uncertain, unfamiliar=unfamiliar)

    def pull(self, part: WindowedText, logits: Logits, number: int) -> float:
        """Return how far the logits lean towards positive; towards label `number` if some have no polarity.

        It is the logarithm of the odds, of the labels of highest polarity against those of lowest.
        """
        others = [other for other in range(len(self.labels)) if other != number]
        against, towards = self.labels.poles or (others, [number])
        values = part.logits(logits)
        return _logsumexp([values[i] for i in towards]) - _logsumexp([values[i] for i in against])

    def _unreadable(self, tokens: Sequence[int]) -> bool:
        unknown = tokens.count(self.unknown)
        return unknown > 0 and unknown >= _UNREADABLE * sum(token not in self.marks for token in tokens)


def _softmax(logits: Sequence[float], temperature: float) -> dict[int, float]:
    """Return the probability of each label by its number, in a form that no logit overflows."""
    highest = max(logits)
    odds = [math.exp((logit - highest) / temperature) for logit in logits]
    total = sum(odds)
    return {number: each / total for number, each in enumerate(odds)}


def _logsumexp(logits: Sequence[float]) -> float:
    highest = max(logits)
    return highest + math.log(sum(math.exp(logit - highest) for logit in logits))


class Answer:
    """Adds one text's token rows to the shared batch and turns their logits into its verdict."""

    def __init__(
        self, question: Question, tokens: Sequence[int], offsets: Sequence[Span], rows: Rows, max_tokens: int
    ) -> None:
        """Add rows of at most `max_tokens` tokens each, special tokens not counted.

        `offsets` are the code points of each token; only sentences and clauses need them.
        """
        self._tokens = tokens
        self._starts = [start for start, _ in offsets]
        self._text = windowed(tokens, rows, max_tokens, question.options.on_long_text)
        self._sentences: list[tuple[Span, Sequence[int], WindowedText]] | None = None
        self._clauses: list[tuple[Span, WindowedText]] | None = None
        if question.options.sentences:
            self._sentences = self._split_sentences(question, rows, max_tokens)
        if question.options.explain:
            end = offsets[self._text.end - 1][1] if tokens else 0
            self._clauses = self._mask_out_clauses(question.text[:end], rows)

    def verdict(self, logits: Logits, known: NDArray[np.bool_], scale: Scale) -> Verdict:
        """Return the verdict from the logits of all rows (n, labels), with sentences and highlights as asked.

        `known` (n,) marks the rows whose logits came from the cache. The verdict is `cached` when all of
        its rows did.
        """
        verdict = scale.verdict(self._text, self._tokens, logits)
        parts = None
        if self._sentences is not None:
            parts = [
                Sentence(*span, scale.verdict(sentence, tokens, logits))
                for span, tokens, sentence in self._sentences
            ]
        cached = all(known[row] for part in self._parts() for row in part.rows)
        highlights = self._attribute(logits, scale, verdict.number)
        return replace(verdict, sentences=parts, highlights=highlights, cached=cached)

    def needs(self, rows: Collection[int]) -> bool:
        """Return whether the verdict needs the logits of one of these rows."""
        return bool(rows) and any(row in rows for part in self._parts() for row in part.rows)

    def _parts(self) -> Iterator[WindowedText]:
        yield self._text
        yield from (sentence for _, _, sentence in self._sentences or ())
        yield from (rest for _, rest in self._clauses or ())

    def _split_sentences(
        self, question: Question, rows: Rows, max_tokens: int
    ) -> list[tuple[Span, Sequence[int], WindowedText]]:
        parts = []
        for span in sentences(question.text):
            first, end = self._token_span(span)
            tokens = self._tokens[first:end]
            sentence = windowed(tokens, rows, max_tokens, question.options.on_long_text)
            parts.append((span, tokens, sentence))
        return parts

    def _mask_out_clauses(self, text: str, rows: Rows) -> list[tuple[Span, WindowedText]]:
        """Return each clause with the rest of the text. Clauses without tokens are left out."""
        spans = [(span, self._token_span(span)) for span in clauses(text)]
        tokenised = [(span, part) for span, part in spans if part[0] < part[1]]
        if len(tokenised) == 1:
            return [(tokenised[0][0], self._text)]
        return [(span, masked_out(self._tokens, part, self._text, rows)) for span, part in tokenised]

    def _attribute(self, logits: Logits, scale: Scale, number: int) -> list[Highlight] | None:
        """Return the leave-one-out attribution of the clauses of a text with the label `number`.

        A clause's weight is the fall of the pull without it, as a share of the sum of all absolute falls.
        """
        if self._clauses is None:
            return None
        whole = scale.pull(self._text, logits, number)
        if len(self._clauses) == 1:
            against = scale.labels.poles is not None and whole < 0
            return [Highlight(*self._clauses[0][0], -1.0 if against else 1.0)]
        falls = [whole - scale.pull(rest, logits, number) for _, rest in self._clauses]
        total = sum(map(abs, falls)) or 1.0
        return [Highlight(*span, fall / total) for (span, _), fall in zip(self._clauses, falls, strict=True)]

    def _token_span(self, span: Span) -> Span:
        return bisect_left(self._starts, span[0]), bisect_left(self._starts, span[1])
