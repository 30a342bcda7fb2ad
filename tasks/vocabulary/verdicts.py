"""What the model says about a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says about one text. Tokens are counted with the special ones.

    It read `tokens` of the text's `text_tokens`. `sentences` and `highlights` are None unless asked for.
    `cached` tells that nothing was computed for it: an earlier text had the same tokens.
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
        """Whether a part of the text was not read."""
        return self.tokens < self.text_tokens

    @property
    def label(self) -> Literal["positive", "negative"]:
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
    """Why a text has no verdict whose job rejects long ones: `text_too_long`, with the numbers."""

    tokens: int
    limit: int
