"""What the jobs of an owner used: items and what it took to score them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import accumulate, pairwise

from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.items import Outcome
from tasks.vocabulary.verdicts import Scored


@dataclass(frozen=True, slots=True)
class Usage:
    """Items that ended, those of them with an error, and of the others characters, tokens and time.

    `tokens` are those of the texts as results name them, also where nothing was computed; `model_ms` is the
    time of the model for what was computed.
    """

    items: int = 0
    errors: int = 0
    characters: int = 0
    tokens: int = 0
    model_ms: int = 0

    @classmethod
    def of(cls, result: ChunkResult, model_ms: int = 0) -> Usage:
        """Return the usage of a chunk with these outcomes."""
        scored = [
            (item.chars, outcome.tokens)
            for item, outcome in zip(result.chunk.items, result.outcomes, strict=True)
            if isinstance(outcome, Scored)
        ]
        chars, tokens = (sum(each[place] for each in scored) for place in (0, 1))
        total = len(result.outcomes)
        return cls(total, total - len(scored), chars, tokens, model_ms)

    @classmethod
    def read(cls, counts: Mapping[str, int]) -> Usage:
        """Return the usage of counts by name; those that are missing are 0."""
        return cls(**{name: counts.get(name, 0) for name in USAGE_NAMES})

    @property
    def counts(self) -> dict[str, int]:
        """Return the counts by name, without those that are 0."""
        return {name: count for name, count in asdict(self).items() if count}

    def __add__(self, other: Usage) -> Usage:
        """Return the sum of both."""
        return Usage(*(getattr(self, name) + getattr(other, name) for name in USAGE_NAMES))


USAGE_NAMES = tuple(field.name for field in fields(Usage))


def shares_of_time(results: Sequence[ChunkResult], model_ms: int) -> Iterator[int]:
    """Yield the part of the model's time that each of the results took: by tokens that were computed.

    The parts add up to `model_ms`.
    """
    computed = [sum(map(_computed_tokens, each.outcomes)) for each in results]
    weights = computed if any(computed) else [1] * len(results)
    for before, upto in pairwise([0, *accumulate(weights)]):
        yield model_ms * upto // sum(weights) - model_ms * before // sum(weights)


def _computed_tokens(outcome: Outcome) -> int:
    return outcome.tokens if isinstance(outcome, Scored) and not outcome.cached else 0
