"""What a kind of fault is: a function that breaks something and returns what mends it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from tests.attacks.cluster import Cluster
from tests.conftest import eventually

Mend = Callable[[], None]
Break = Callable[[Cluster, random.Random], Mend]
PREFIX_OF_SCORERS = "worker"


@dataclass(frozen=True)
class Poison:
    """A text that does harm, and the codes with which it may end."""

    text: str
    codes: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    `what` is the row of docs/reliability.md. `part` is what it breaks: two faults at once break two parts.
    `lasts_s` are the shortest and the longest time until it is mended. `loses_data`: Redis itself loses data,
    so jobs may be lost, if they say so. `lacks` returns what the machine lacks for it, or nothing. `poison`
    is sent while it lasts. `calm`: a job is sent while it lasts, and nothing else before that has finished.
    """

    name: str
    what: str
    part: str
    breaks: Break
    lasts_s: tuple[float, float] = (1.0, 4.0)
    loses_data: bool = False
    lacks: Callable[[], str] = str
    poison: Poison | None = None
    calm: bool = False


def nothing_to_mend() -> None:
    pass


def all_of(mends: Sequence[Mend]) -> Mend:
    """Return a function that calls all of these, the last one first."""

    def mend() -> None:
        for one in reversed(mends):
            one()

    return mend


def workers(cluster: Cluster) -> list[str]:
    return sorted(name for name in cluster.links if name.startswith(PREFIX_OF_SCORERS))


def children(cluster: Cluster, name: str) -> list[psutil.Process]:
    """Return the children of a process once it has some: the forks that work, not Python's own helpers."""

    def look() -> list[psutil.Process]:
        try:
            return [child for child in cluster.process(name).children() if is_fork(child)]
        except psutil.NoSuchProcess:
            return []

    return eventually(look, within_s=60)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_fork(process: psutil.Process) -> bool:
    try:
        return "resource_tracker" not in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
