"""Verdicts: what the model says about a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says about one text. Counts of tokens include the special ones.

    The model read `tokens` of the text's `text_tokens`. `sentences` and `highlights` are None unless asked
    for. `cached`: nothing was computed, because an earlier text had the same tokens.
    """

    positive_prob: float
    tokens: int
    text_tokens: int
    uncertain: bool = False
    sentences: Sequence[Sentence] | None = None
    highlights: Sequence[Highlight] | None = None
    cached: bool = False

    @property
    def truncated(self) -> bool:
        """Return whether a part of the text was not read."""
        return self.tokens < self.text_tokens

    @property
    def label(self) -> Literal["positive", "negative"]:
        """Return the label; an exact tie is positive."""
        return "positive" if self.positive_prob >= 0.5 else "negative"  # noqa: PLR2004  the midpoint

    @property
    def negative_prob(self) -> float:
        """Return the probability of `negative`."""
        return 1 - self.positive_prob

    @property
    def confidence(self) -> float:
        """Return the probability of the label."""
        return max(self.positive_prob, self.negative_prob)

    @property
    def score(self) -> float:
        """Return the score from -1 (surely negative) to 1 (surely positive)."""
        return self.positive_prob - self.negative_prob


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its own verdict: the code points [start, end) of the text as submitted."""

    start: int
    end: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Highlight:
    """The pull of a clause on the score, positive above 0; absolute weights of a text add up to 1."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class TooManyTokens:
    """The outcome `text_too_long` with its numbers: the job rejects texts of more tokens than the limit."""

    tokens: int
    limit: int
