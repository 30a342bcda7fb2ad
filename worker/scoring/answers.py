"""What is asked of a text, and the answer from the logits of the rows that it takes."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.verdicts import Highlight, Sentence, Verdict
from worker.scoring.question import Question
from worker.scoring.segmentation import Span, clauses, sentences
from worker.scoring.windows import SPECIAL, Reading, Rows, read, without

Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scale:
    """How a pack's logits become verdicts."""

    temperature: float
    uncertain_below: float

    def verdict(self, reading: Reading, text_tokens: int, logits: Logits) -> Verdict:
        """The verdict on what was read of `text_tokens` tokens, neither with the special ones."""
        # The logistic function in a form that no logit overflows.
        positive = 0.5 + 0.5 * math.tanh(reading.logit(logits) / self.temperature / 2)
        verdict = Verdict(positive, reading.end + SPECIAL, text_tokens + SPECIAL)
        return replace(verdict, uncertain=verdict.confidence < self.uncertain_below)


class Answer:
    """Puts the rows of a question where those of all are, and reads its verdict off their logits."""

    def __init__(
        self, question: Question, tokens: Sequence[int], offsets: Sequence[Span], rows: Rows, most: int
    ) -> None:
        """`offsets` are the code points of each token, needed for sentences and clauses only."""
        self._tokens = tokens
        self._starts = [start for start, _ in offsets]
        self._whole = read(tokens, rows, most, question.options.on_long_text)
        self._sentences: list[tuple[Span, int, Reading]] | None = None
        self._clauses: list[tuple[Span, Reading]] | None = None
        if question.options.sentences:
            self._sentences = self._read_sentences(question, rows, most)
        if question.options.explain:
            end = offsets[self._whole.end - 1][1] if tokens else 0
            self._clauses = self._leave_out_clauses(question.text[:end], rows)

    def verdict(self, logits: Logits, known: NDArray[np.bool_], scale: Scale) -> Verdict:
        """The verdict from the logits of all rows (n,), with what the options add to it.

        It is `cached` when every row that it takes is `known` (n,) from earlier texts.
        """
        verdict = scale.verdict(self._whole, len(self._tokens), logits)
        parts = None
        if self._sentences is not None:
            parts = [
                Sentence(*span, scale.verdict(reading, tokens, logits))
                for span, tokens, reading in self._sentences
            ]
        cached = all(known[row] for reading in self._readings() for row in reading.rows)
        return replace(verdict, sentences=parts, highlights=self._weigh_clauses(logits), cached=cached)

    def _readings(self) -> Iterator[Reading]:
        yield self._whole
        yield from (reading for _, _, reading in self._sentences or ())
        yield from (reading for _, reading in self._clauses or ())

    def _read_sentences(self, question: Question, rows: Rows, most: int) -> list[tuple[Span, int, Reading]]:
        parts = []
        for span in sentences(question.text):
            first, after = self._tokens_of(span)
            tokens = self._tokens[first:after]
            parts.append((span, len(tokens), read(tokens, rows, most, question.options.on_long_text)))
        return parts

    def _leave_out_clauses(self, text: str, rows: Rows) -> list[tuple[Span, Reading]]:
        """Of the text that was read; a clause without tokens has no say."""
        spans = [(span, self._tokens_of(span)) for span in clauses(text)]
        heard = [(span, part) for span, part in spans if part[0] < part[1]]
        if len(heard) == 1:
            return [(heard[0][0], self._whole)]
        return [(span, without(self._tokens, part, self._whole, rows)) for span, part in heard]

    def _weigh_clauses(self, logits: Logits) -> list[Highlight] | None:
        """How much the logit falls without each clause, as shares of all changes."""
        if self._clauses is None:
            return None
        whole = self._whole.logit(logits)
        if len(self._clauses) == 1:
            return [Highlight(*self._clauses[0][0], 1.0 if whole >= 0 else -1.0)]
        falls = [whole - reading.logit(logits) for _, reading in self._clauses]
        total = sum(map(abs, falls)) or 1.0
        return [Highlight(*span, fall / total) for (span, _), fall in zip(self._clauses, falls, strict=True)]

    def _tokens_of(self, span: Span) -> Span:
        return bisect_left(self._starts, span[0]), bisect_left(self._starts, span[1])
