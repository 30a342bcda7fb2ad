"""Which faults come when: a plan follows from its seed and the number of its steps alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice

from tests.faults.kinds import KINDS
from tests.faults.kinds.kind import Poison

SHARE_OF_TWO = 0.2
PAUSE_S = (0.5, 2.0)


@dataclass(frozen=True)
class Step:
    """One fault, or two at once: after `pause_s` of load, for `lasts_s`. `seed` decides all other chances."""

    kinds: Sequence[str]
    pause_s: float
    lasts_s: float
    seed: int

    def __str__(self) -> str:
        return " + ".join(self.kinds)

    @property
    def loses_data(self) -> bool:
        return any(KINDS[kind].loses_data for kind in self.kinds)

    @property
    def is_calm(self) -> bool:
        return any(KINDS[kind].calm for kind in self.kinds)

    @property
    def poisons(self) -> Sequence[Poison]:
        """Return the texts that do harm."""
        return [poison for kind in self.kinds if (poison := KINDS[kind].poison)]


def plan(seed: int, faults: int) -> Sequence[Step]:
    """Return the steps of a seed. Seeds share out shuffled decks, so that some seeds have every kind."""
    rng = random.Random(f"{seed}/{faults}")
    deck, done = divmod(seed * faults, len(KINDS))
    return [_step(kind, rng) for kind in islice(decks(deck), done, done + faults)]


def only(kinds: Sequence[str], seed: int, faults: int | None = None) -> Sequence[Step]:
    """Return a plan of these kinds, one after the other; `a+b` are two at once.

    They come again and again until there are that many faults; without a number, each comes once.
    """
    rng = random.Random(seed)
    return [_alone(kind.split("+"), rng) for kind in islice(cycle(kinds), faults or len(kinds))]


def decks(first: int) -> Iterator[str]:
    """Yield the names of all kinds again and again, in another order each time, from a deck on."""
    for number in count(first):
        yield from random.Random(number).sample(sorted(KINDS), len(KINDS))


def _step(kind: str, rng: random.Random) -> Step:
    others = sorted(name for name, other in KINDS.items() if other.part != KINDS[kind].part)
    second = rng.choice(others)
    return _alone([kind, second] if rng.random() < SHARE_OF_TWO else [kind], rng)


def _alone(kinds: Sequence[str], rng: random.Random) -> Step:
    lasts_s = max(rng.uniform(*KINDS[kind].lasts_s) for kind in kinds)
    return Step(kinds, round(rng.uniform(*PAUSE_S), 2), round(lasts_s, 2), rng.randrange(2**32))
