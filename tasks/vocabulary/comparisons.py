"""Comparisons: where the verdicts of two models on the same texts differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from tasks.vocabulary.items import ItemResult
from tasks.vocabulary.verdicts import Verdict

MAX_DIFFERENCES = 100


class Answer(NamedTuple):
    """What is compared of a verdict. `score` is None unless every label of the model has a polarity."""

    label: str
    confidence: float
    score: float | None

    @classmethod
    def of(cls, item: ItemResult) -> Self | None:
        """Return the answer on an item; None unless it has a verdict on the whole text."""
        verdict = item.outcome
        return cls(verdict.label, verdict.confidence, verdict.score) if isinstance(verdict, Verdict) else None


@dataclass(frozen=True, slots=True)
class Difference:
    """An item to which two models give different labels."""

    index: int
    id: str | None
    answer: Answer
    other: Answer


@dataclass(slots=True)
class Comparison:
    """The answers of a job's model and of another one, counted.

    `pairs` are numbers of items by both labels, `differences` the first items whose labels differ.
    `scored` of the items have two scores, whose absolute differences add up to `score_differences`.
    """

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    scored: int = 0
    score_differences: float = 0.0

    def add(self, item: ItemResult, answer: Answer, other: Answer) -> None:
        """Count both answers on an item; items come in input order."""
        self.pairs[answer.label, other.label] += 1
        if answer.label != other.label and len(self.differences) < MAX_DIFFERENCES:
            self.differences.append(Difference(item.index, item.id, answer, other))
        if answer.score is not None and other.score is not None:
            self.scored += 1
            self.score_differences += abs(answer.score - other.score)

    @property
    def compared(self) -> int:
        """Return the number of items that both models have scored."""
        return self.pairs.total()

    @property
    def agreed(self) -> int:
        """Return the number of items to which both models give the same label."""
        return sum(items for (label, other), items in self.pairs.items() if label == other)

    @property
    def mean_score_difference(self) -> float | None:
        """Return the mean absolute difference of the scores; None if no item has two."""
        return self.score_differences / self.scored if self.scored else None
