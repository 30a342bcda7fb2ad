"""Verdicts: what the model says about a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.vocabulary.labels import Label, LabelSet
from tasks.vocabulary.options import Probabilities

# Verdicts of a pack with more labels name only the three highest probabilities, unless all are asked for.
MAX_ALL = 8
DIGITS = 6  # of a probability, where it is kept and returned
_TOP = 3


class Scored:
    """An outcome that the model gave. `cached`: nothing was computed for it."""

    __slots__ = ()
    cached: bool

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Return the verdicts that it holds: one, or one for each aspect."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Verdict(Scored):
    """What the model says about one text. Counts of tokens include the special ones.

    `kept` are probabilities by the number of their label: all of them, or those that `keep` keeps beside
    `score_of_all`. The model read `tokens` of the text's `text_tokens`. `unfamiliar`: most of the text was
    never seen in training; None if the pack does not record that. `sentences` and `highlights` are None
    unless asked for. `cached`: nothing was computed, because an earlier text had the same tokens.
    """

    labels: LabelSet
    kept: Mapping[int, float]
    tokens: int
    text_tokens: int
    uncertain: bool = False
    unfamiliar: bool | None = None
    sentences: Sequence[Sentence] | None = None
    highlights: Sequence[Highlight] | None = None
    cached: bool = False
    shows: Probabilities = Probabilities.ALL
    score_of_all: float | None = None

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Return this verdict alone."""
        return (self,)

    @property
    def truncated(self) -> bool:
        """Return whether a part of the text was not read."""
        return self.tokens < self.text_tokens

    @property
    def number(self) -> int:
        """Return the number of the label, which has the highest probability; of a tie, the last.

        Probabilities are compared with the digits that results keep, so that both have the same label.
        """
        return max(self.kept, key=lambda number: (round(self.kept[number], DIGITS), number))

    @property
    def named(self) -> Label:
        """Return the label with its names."""
        return self.labels[self.number]

    @property
    def label(self) -> str:
        """Return the id of the label."""
        return self.named.id

    @property
    def label_zh(self) -> str:
        """Return the Chinese name of the label."""
        return self.named.label_zh

    @property
    def confidence(self) -> float:
        """Return the probability of the label."""
        return max(self.kept.values())

    @property
    def positive_prob(self) -> float | None:
        """Return the probability of `positive`; None if the pack has no such label."""
        return self._probability("positive")

    @property
    def negative_prob(self) -> float | None:
        """Return the probability of `negative`; None if the pack has no such label."""
        return self._probability("negative")

    @property
    def score(self) -> float | None:
        """Return the sum of polarity times probability, -1 to 1; None unless every label has a polarity."""
        return self.labels.score(self.kept) if self.shows is Probabilities.ALL else self.score_of_all

    @property
    def probabilities(self) -> dict[str, float] | None:
        """Return the probabilities that the verdict names, by label id in label order."""
        if self.shows is Probabilities.NONE:
            return None
        shown = self.kept if self.shows is Probabilities.ALL else _highest(self.kept)
        return {self.labels[number].id: self.kept[number] for number in sorted(shown)}

    def keep(self, asked: Probabilities | None) -> Verdict:
        """Return the verdict with only the probabilities that it names, and those that it has fields for."""
        few = len(self.labels) <= MAX_ALL
        shows = asked or (Probabilities.ALL if few else Probabilities.TOP3)
        if shows is Probabilities.TOP3 and len(self.labels) <= _TOP:
            shows = Probabilities.ALL
        if shows is Probabilities.ALL:
            return self
        numbers = {self.number, self.labels.number("positive"), self.labels.number("negative")}
        if shows is Probabilities.TOP3:
            numbers |= _highest(self.kept)
        kept = {number: each for number, each in self.kept.items() if number in numbers}
        return replace(self, kept=kept, shows=shows, score_of_all=self.score)

    def _probability(self, label_id: str) -> float | None:
        number = self.labels.number(label_id)
        return None if number is None else self.kept[number]


def _highest(kept: Mapping[int, float]) -> set[int]:
    """Return the numbers of the three highest probabilities."""
    return set(sorted(kept, key=lambda number: (kept[number], number))[-_TOP:])


@dataclass(frozen=True, slots=True)
class AspectVerdicts(Scored):
    """The verdicts on the aspects of a text, in the order in which they were given.

    Their counts of tokens are of the text, as those of a plain verdict.
    """

    aspects: Sequence[tuple[str, Verdict]]
    cached: bool = False

    @property
    def verdicts(self) -> Sequence[Verdict]:
        """Return the verdict on each aspect."""
        return [verdict for _, verdict in self.aspects]

    @property
    def tokens(self) -> int:
        """Return the tokens of the text that were read with every aspect."""
        return min(verdict.tokens for _, verdict in self.aspects)

    @property
    def text_tokens(self) -> int:
        """Return the tokens of the text."""
        return self.aspects[0][1].text_tokens

    @property
    def truncated(self) -> bool:
        """Return whether a part of the text was not read with every aspect."""
        return self.tokens < self.text_tokens

    @property
    def uncertain(self) -> bool:
        """Return whether the verdict on any aspect is uncertain."""
        return any(verdict.uncertain for _, verdict in self.aspects)

    @property
    def unfamiliar(self) -> bool | None:
        """Return whether most of the text was never seen in training; None if that is not recorded."""
        return self.aspects[0][1].unfamiliar


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its own verdict: the code points [start, end) of the text as submitted."""

    start: int
    end: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Highlight:
    """The pull of a clause; absolute weights of a text add up to 1.

    Above 0 it pulls towards positive where every label has a polarity, else towards the label of the verdict.
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class TooManyTokens:
    """The outcome `text_too_long` with its numbers: the job rejects texts of more tokens than the limit."""

    tokens: int
    limit: int
