"""Compose new texts from clauses of the shipped reviews, mostly distinct and as long as real reviews."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from samples.shipped import Review, read_reviews

# Lengths in code points are log-normal: mean 55, 95th percentile 170.
_MU, _SIGMA = 3.53, 0.976
_MIN_LENGTH, _MAX_LENGTH = 4, 600
_CLAUSE = re.compile(r"[^，。！？；,!?;]+[，。！？；,!?;]*")


def composed_texts(count: int, seed: int) -> list[str]:
    """Return `count` texts, each of clauses from reviews of one domain and label."""
    chance = random.Random(seed)  # noqa: S311  seeded, no secret
    clauses = _clauses(read_reviews())
    return [_compose(chance, chance.choice(clauses)) for _ in range(count)]


def _clauses(reviews: Sequence[Review]) -> list[list[str]]:
    kinds: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for review in reviews:
        kinds[review.domain, review.label] += _CLAUSE.findall(review.text)
    return list(kinds.values())


def _compose(chance: random.Random, clauses: list[str]) -> str:
    length = min(max(round(chance.lognormvariate(_MU, _SIGMA)), _MIN_LENGTH), _MAX_LENGTH)
    return "".join(_until(length, chance, clauses))[:length]


def _until(length: int, chance: random.Random, clauses: list[str]) -> Iterator[str]:
    while length > 0:
        clause = chance.choice(clauses)
        length -= len(clause)
        yield clause
