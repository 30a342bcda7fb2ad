"""What decides what can happen next: the store, the programs, and the faults that may still come."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tasks.store import keys
from tests.faults.actors import QUEUE, Memory, Program
from tests.faults.snapshots import Snapshot
from tests.faults.stepping import Command

# What is only shown or learned. The counts in it are checked with each step.
SHOWN = (keys.COUNTERS, keys.backlog_key(QUEUE), keys.usage_key(""), keys.KEPT)
NOTHING_KNOWN = Memory()
NAMED = 4  # words of a command: name, digest of a script, number of keys, arguments


@dataclass(frozen=True)
class Faults:
    """How many faults of each kind may still come."""

    crashes: int = 0
    passes: int = 0  # of time: leases end
    losses: int = 0  # of all wake-ups
    repeats: int = 0  # of a command whose answer got lost
    returns: int = 0  # of a lease by a sick child, which ends

    def covers(self, other: Faults) -> bool:
        """Return whether there are as many of each kind as another has."""
        return all(mine >= theirs for mine, theirs in zip(self.numbers, other.numbers, strict=True))

    @property
    def numbers(self) -> tuple[int, ...]:
        return (self.crashes, self.passes, self.losses, self.repeats, self.returns)


@dataclass(frozen=True)
class Running:
    """A program that was started, the answers that it has had, and the command that comes next."""

    name: str
    program: Program = field(compare=False, hash=False)
    answers: tuple[Any, ...] = ()
    command: Command | None = field(default=None, compare=False, hash=False)
    since: int = 0  # the answers that its present part had begin here

    @property
    def known(self) -> str:
        """Return what tells it from others: where it is, when it began, and what this part of it was told."""
        words = self.command.words[:NAMED] if self.command else []
        return repr((self.name, words, self.answers[:1], self.answers[self.since :]))


@dataclass(frozen=True)
class Child:
    """A child, what it does, and whether it is dead and not yet replaced."""

    pid: int
    running: Running | None = None
    dead: bool = False

    @property
    def known(self) -> tuple[Any, ...]:
        return (self.pid, self.running and self.running.known, self.dead)


@dataclass(frozen=True)
class State:
    """All that decides what can happen next. `path` is how it came about."""

    redis: Snapshot
    children: tuple[Child, ...]
    left: Faults
    round: Running | None = None
    memory: Memory = NOTHING_KNOWN
    pids: int = 0
    path: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[Any, ...]:
        children = tuple(child.known for child in self.children)
        return (self.redis.digest(*SHOWN), children, self.round and self.round.known, self.memory)

    @property
    def idle(self) -> bool:
        return self.round is None and not any(child.running for child in self.children)


def with_child(state: State, number: int, child: Child) -> State:
    children = (*state.children[:number], child, *state.children[number + 1 :])
    return replace(state, children=children)


def died(state: State, number: int) -> State:
    dead = with_child(state, number, replace(state.children[number], running=None, dead=True))
    return dead if state.round else replaced(dead)


def without_round(state: State, memory: Memory) -> State:
    """End a round. Only between two rounds the parent forks successors of dead children."""
    return replaced(replace(state, round=None, memory=memory))


def replaced(state: State) -> State:
    children, pids = [], state.pids
    for child in state.children:
        pids += child.dead
        children.append(Child(pids) if child.dead else child)
    return replace(state, children=tuple(children), pids=pids)
