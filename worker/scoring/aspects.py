"""The rows of a text with each of its aspects, and the verdicts from their logits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.options import PAIR_SPECIAL, OnLongText
from tasks.vocabulary.verdicts import AspectVerdicts, TooManyTokens
from worker.scoring.answers import Logits, Scale
from worker.scoring.question import Question
from worker.scoring.windows import SPECIAL, Rows, windowed


class AspectAnswer:
    """Adds a row for each aspect of a text, or for each of its windows; turns their logits into verdicts.

    Only the text is cut or windowed: every row has the whole aspect.
    """

    def __init__(
        self,
        question: Question,
        tokens: Sequence[int],
        aspects: Mapping[str, Sequence[int]],
        rows: Rows,
        max_tokens: int,
    ) -> None:
        """Add the rows; `tokens` of the text and of each of the `aspects` are without special ones."""
        self._tokens = tokens
        self._texts = [
            (
                aspect,
                windowed(
                    tokens,
                    rows.behind(aspects[aspect]),
                    max_tokens - PAIR_SPECIAL - len(aspects[aspect]),
                    question.options.on_long_text,
                ),
            )
            for aspect in question.options.aspects
        ]

    def verdict(self, logits: Logits, known: NDArray[np.bool_], scale: Scale) -> AspectVerdicts:
        """Return the verdicts from the logits of all rows (n, labels); `known` (n,) were cached."""
        aspects = [(aspect, scale.verdict(text, self._tokens, logits)) for aspect, text in self._texts]
        return AspectVerdicts(aspects, cached=all(known[row] for _, text in self._texts for row in text.rows))

    def needs(self, rows: Collection[int]) -> bool:
        """Return whether the verdicts need the logits of one of these rows."""
        return bool(rows) and any(row in rows for _, text in self._texts for row in text.rows)


def too_long(
    question: Question, tokens: Sequence[int], aspects: Mapping[str, Sequence[int]], max_tokens: int
) -> TooManyTokens | None:
    """Return the outcome of a text too long for its longest aspect, if the job rejects such texts."""
    longest = max(len(aspects[aspect]) for aspect in question.options.aspects)
    limit = max_tokens - PAIR_SPECIAL - longest
    if len(tokens) <= limit or question.options.on_long_text is not OnLongText.REJECT:
        return None
    return TooManyTokens(len(tokens) + SPECIAL, limit + SPECIAL)
