"""Tallies: numbers of items by outcome, counted while a job runs, so that its summary costs one reading.

A tally is written as whole numbers: items, errors, uncertain verdicts, truncated ones, the sum of the scores
in millionths, the histogram of confidence, and the items of each label in the order of the model's labels.
Without a verdict it ends behind the errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.vocabulary.items import Item, Outcome
from tasks.vocabulary.verdicts import Verdict

LABELS = ("negative", "positive")
OTHER = 0  # the group of items whose value has no group of its own
BINS = 20  # of confidence, from 0 to 1
_MILLION = 1_000_000  # scores and confidences are known to six digits
_ITEMS, _ERRORS, _UNCERTAIN, _TRUNCATED, _SCORE, _CONFIDENCE = range(6)
_LABELS = _CONFIDENCE + BINS

# Groups that are new, each with the value that it stands for, as JSON.
NewGroups = Sequence[tuple[int, str]]


def count(items: Sequence[Item], outcomes: Sequence[Outcome]) -> dict[int, list[int]]:
    """Return the tally of each group of items, as it is written."""
    tallies: dict[int, list[int]] = {}
    for item, outcome in zip(items, outcomes, strict=True):
        tally = tallies.setdefault(item.group, [0, 0])
        tally[_ITEMS] += 1
        if isinstance(outcome, Verdict):
            _count_verdict(tally, outcome)
        else:
            tally[_ERRORS] += 1
    return tallies


def _count_verdict(tally: list[int], verdict: Verdict) -> None:
    tally += [0] * (_LABELS + len(LABELS) - len(tally))
    tally[_UNCERTAIN] += verdict.uncertain
    tally[_TRUNCATED] += verdict.truncated
    tally[_SCORE] += round(_MILLION * verdict.score)
    share = round(_MILLION * verdict.confidence)
    tally[_CONFIDENCE + min(share * BINS // _MILLION, BINS - 1)] += 1
    tally[_LABELS + LABELS.index(verdict.label)] += 1


@dataclass(slots=True)
class Tally:
    """Numbers of items by outcome; `scores` is the sum of the scores of their verdicts."""

    items: int = 0
    errors: int = 0
    uncertain: int = 0
    truncated: int = 0
    scores: float = 0.0
    confidence: list[int] = field(default_factory=lambda: [0] * BINS)
    labels: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LABELS, 0))

    @property
    def verdicts(self) -> int:
        """Return the number of items with a verdict."""
        return self.items - self.errors

    @property
    def mean_score(self) -> float | None:
        """Return the mean score of the verdicts, None without any."""
        return self.scores / self.verdicts if self.verdicts else None

    def add(self, written: Sequence[int]) -> None:
        """Add a tally as it is written."""
        self.items += written[_ITEMS]
        self.errors += written[_ERRORS]
        if len(written) <= _UNCERTAIN:
            return
        self.uncertain += written[_UNCERTAIN]
        self.truncated += written[_TRUNCATED]
        self.scores += written[_SCORE] / _MILLION
        self.confidence = [sum(pair) for pair in zip(self.confidence, written[_CONFIDENCE:], strict=False)]
        for label, items in zip(LABELS, written[_LABELS:], strict=True):
            self.labels[label] += items
