"""Tallies: numbers of items by outcome, counted while a job runs, so that its summary costs one reading.

A tally is a row of numbers. Their places, from 1: items, errors, uncertain verdicts, truncated ones, the sum
of the scores in millionths, the histogram of confidence, and the items of each label in the order of the
model's labels. One without verdicts has only the first five.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from struct import Struct

from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.items import Item, Outcome
from tasks.vocabulary.labels import LabelSet
from tasks.vocabulary.verdicts import AspectVerdicts, Scored, Verdict

OTHER = 0  # the group of items whose value has no group of its own
BINS = 20  # of confidence, from 0 to 1
_MILLION = 1_000_000  # scores and confidences are known to six digits
_ITEMS, _ERRORS, _UNCERTAIN, _TRUNCATED, _SCORE, _CONFIDENCE = range(1, 7)
_LABELS = _CONFIDENCE + BINS
# As `lua/include/summary.lua` writes the first five; the others have four bytes each.
_HEAD = Struct("<4Iq")

# Groups that are new, each with the value that it stands for, as JSON.
NewGroups = Sequence[tuple[int, str]]


def count(items: Sequence[Item], outcomes: Sequence[Outcome]) -> list[tuple[int, list[int]]]:
    """Return each group of items with what they add to its tally: places and numbers in turn."""
    tallies: dict[int, Counter[int]] = defaultdict(Counter)
    for item, outcome in zip(items, outcomes, strict=True):
        tally = tallies[item.group]
        tally[_ITEMS] += 1
        if isinstance(outcome, Scored):
            _count_verdicts(tally, outcome.verdicts)
        else:
            tally[_ERRORS] += 1
    return [(group, [*chain(*tally.items())]) for group, tally in tallies.items()]


def count_aspects(result: ChunkResult) -> list[tuple[str, bool, list[int]]]:
    """Return each aspect with what the verdicts on it add to its tally, where each counts as an item.

    With it comes whether the job names the aspect for all of its items.
    """
    tallies: dict[str, Counter[int]] = defaultdict(Counter)
    for outcome in result.outcomes:
        if isinstance(outcome, AspectVerdicts):
            for aspect, verdict in outcome.aspects:
                tallies[aspect][_ITEMS] += 1
                _count_verdicts(tallies[aspect], [verdict])
    of_job = result.chunk.options.aspects
    return [(aspect, aspect in of_job, [*chain(*tally.items())]) for aspect, tally in tallies.items()]


def _count_verdicts(tally: Counter[int], verdicts: Sequence[Verdict]) -> None:
    """Count an item by its verdict, or by those on its aspects, whose mean score is its score."""
    if any(verdict.uncertain for verdict in verdicts):
        tally[_UNCERTAIN] += 1
    if any(verdict.truncated for verdict in verdicts):
        tally[_TRUNCATED] += 1
    tally[_SCORE] += round(_MILLION * sum(verdict.score or 0 for verdict in verdicts) / len(verdicts))
    for verdict in verdicts:
        share = round(_MILLION * verdict.confidence)
        tally[_CONFIDENCE + min(share * BINS // _MILLION, BINS - 1)] += 1
        tally[_LABELS + verdict.number] += 1
    tally[_LABELS + len(verdicts[0].labels) - 1] += 0  # written in full, so that its length never changes


def read_tally(written: bytes) -> list[int]:
    """Return the numbers of a tally as it is written."""
    rest = Struct(f"<{(len(written) - _HEAD.size) // 4}I")
    return [*_HEAD.unpack_from(written), *rest.unpack_from(written, _HEAD.size)]


@dataclass(slots=True)
class Tally:
    """Numbers of items by outcome.

    `scores` is the sum of the scores of their verdicts, None if one of them has no score. `labels` are
    numbers by label id.
    """

    items: int = 0
    errors: int = 0
    uncertain: int = 0
    truncated: int = 0
    scores: float | None = 0.0
    confidence: list[int] = field(default_factory=lambda: [0] * BINS)
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def verdicts(self) -> int:
        """Return the number of items with a verdict."""
        return self.items - self.errors

    @property
    def mean_score(self) -> float | None:
        """Return the mean score of the verdicts, None without any, or if one of them has no score."""
        return self.scores / self.verdicts if self.verdicts and self.scores is not None else None

    def add(self, numbers: Sequence[int], labels: LabelSet | None) -> None:
        """Add the numbers of a tally: of a model with these labels, or of errors alone."""
        items, errors, uncertain, truncated, scores, *counted = numbers
        self.items += items
        self.errors += errors
        self.uncertain += uncertain
        self.truncated += truncated
        if counted and labels and not labels.scored:
            self.scores = None
        if self.scores is not None:
            self.scores += scores / _MILLION
        for step, verdicts in enumerate(counted[:BINS]):
            self.confidence[step] += verdicts
        for label, labelled in zip(labels.ids if labels else (), counted[BINS:], strict=False):
            self.labels[label] = self.labels.get(label, 0) + labelled
