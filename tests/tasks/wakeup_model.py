"""A model of how children are woken: each step is one script of the store, or one act of Celery.

Interleavings of callers, children, the reconciler and faults are all paths through `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

# A child: idle, woken (it has a message, and has not leased yet), works (it holds one chunk), found (it has
# finished that, and will lease again), blind (a defect: it found nothing, and still counts as awake), hands
# (it leaves, and has a wake-up to publish), or dead.
IDLE, WOKEN, WORKS, FOUND, BLIND, HANDS, DEAD = "idle", "woken", "works", "found", "blind", "hands", "dead"


class Child(NamedTuple):
    """A child: what it does, whether it counts as awake, and whether it died with a chunk."""

    does: str = IDLE
    awake: bool = False
    holds: bool = False


class State(NamedTuple):
    """What is in Redis and in the processes. `faults` and `submits` are those that may still come."""

    submits: int
    faults: int
    children: tuple[Child, ...]
    ready: int  # as the reconciler counted them
    waiting: int = 0  # chunks that nobody has leased
    uncounted: int = 0  # chunks that were recorded, and whose wake-ups are not counted yet
    early: int = 0  # a defect: wake-ups were counted for chunks that are not recorded yet
    unpublished: int = 0  # wake-ups that were counted, and are not published yet
    queue: int = 0  # Celery's messages
    published: int = 0  # wake-ups that count as not taken yet

    @property
    def out(self) -> int:
        """Return how many wake-ups are out, as the scripts count them."""
        return max(self.published, self.queue) + sum(child.awake for child in self.children)

    @property
    def done(self) -> bool:
        """Return whether nothing is left to do."""
        busy = any(child.does != IDLE for child in self.children)
        return not (busy or self.submits or self.waiting or self.uncounted or self.early or self.queue)


@dataclass(frozen=True)
class Rules:
    """What may happen. The defects say which part of the protocol is left out."""

    timers: bool = False  # entries end, and the reconciler looks for what waits
    defect: str = ""


Step = tuple[str, int, State]  # its name, the child that does it or -1, and what comes of it


def steps(state: State, rules: Rules) -> Iterator[Step]:
    """Yield each step that can happen now."""
    yield from _calls(state, rules)
    for number, child in enumerate(state.children):
        for name, after in _acts(state, number, child, rules):
            yield name, number, after
    if rules.timers:
        yield from _times(state, rules)
    if state.faults:
        for name, number, after in _faults(state):
            yield name, number, after._replace(faults=state.faults - 1)


def _due(state: State, chunks: int) -> State:
    """Count wake-ups for chunks."""
    due = max(0, min(chunks, max(1, state.ready) - state.out))
    return state._replace(published=state.published + due, unpublished=state.unpublished + due)


def _calls(state: State, rules: Rules) -> Iterator[Step]:
    if state.submits:
        left = state._replace(submits=state.submits - 1)
        if rules.defect == "count before recording":
            yield "count early", -1, _due(left._replace(early=left.early + 1), 1)
        else:
            recorded = left._replace(waiting=left.waiting + 1)
            yield "create", -1, _due(recorded, 1)
            yield "append", -1, recorded._replace(uncounted=recorded.uncounted + 1)
    if state.early:
        yield "record late", -1, state._replace(early=state.early - 1, waiting=state.waiting + 1)
    if state.uncounted:
        yield "count", -1, _due(state._replace(uncounted=state.uncounted - 1), 1)
    if state.unpublished:
        yield "publish", -1, state._replace(unpublished=state.unpublished - 1, queue=state.queue + 1)


def _with(state: State, number: int, child: Child) -> State:
    children = (*state.children[:number], child, *state.children[number + 1 :])
    return state._replace(children=children)


def _acts(state: State, number: int, child: Child, rules: Rules) -> Iterator[tuple[str, State]]:
    """Yield what a child can do, by itself or through its parent."""
    if child.does == IDLE and state.queue:
        yield "take", _with(state._replace(queue=state.queue - 1), number, Child(WOKEN, child.awake))
    elif child.does == WOKEN:
        taken = (
            state if rules.defect == "never taken" else state._replace(published=max(0, state.published - 1))
        )
        yield "lease", _lease(taken, number, rules)
    elif child.does == WORKS:
        if not child.awake:
            yield "renew", _with(state, number, child._replace(awake=True))
        yield "finish", _with(state, number, Child(FOUND, child.awake))
    elif child.does == FOUND:
        yield "lease again", _lease(state, number, rules)
        yield "leave", _leave(state, number, rules)
    elif child.does == BLIND:
        yield "sleep", _with(state, number, Child())
    elif child.does == HANDS:
        yield "hand over", _with(state._replace(queue=state.queue + 1), number, Child())
    elif child.does == DEAD:
        awake = child.awake and rules.defect == "dead awake"
        replaced = _with(state, number, Child(IDLE, awake))
        if child.holds:
            replaced = _due(replaced._replace(waiting=state.waiting + 1), 1)
        yield "replace", replaced


def _lease(state: State, number: int, rules: Rules) -> State:
    if state.waiting:
        return _with(state._replace(waiting=state.waiting - 1), number, Child(WORKS, awake=True))
    if rules.defect == "seen, then asleep" and state.children[number].awake:
        return _with(state, number, Child(BLIND, awake=True))
    return _with(state, number, Child())


def _leave(state: State, number: int, rules: Rules) -> State:
    left = _with(state, number, Child())
    if not state.waiting or rules.defect == "no handing over":
        return left
    due = max(0, min(1, max(1, left.ready) - left.out))
    return _with(left._replace(published=left.published + due), number, Child(HANDS if due else IDLE))


def _times(state: State, rules: Rules) -> Iterator[Step]:
    if state.published and rules.defect != "published for ever":
        yield "lost", -1, state._replace(published=state.published - 1)
    for number, child in enumerate(state.children):
        if child.awake and rules.defect != "dead awake":
            yield "awake ends", number, _with(state, number, child._replace(awake=False))
    if state.ready != len(state.children):
        counted = state._replace(ready=len(state.children))
        yield "count ready", -1, _published_at_once(counted, state.waiting)
    if state.waiting and not state.queue:
        yield "republish", -1, _published_at_once(state, max(0, state.waiting - state.published))


def _published_at_once(state: State, chunks: int) -> State:
    counted = _due(state, chunks)
    due = counted.unpublished - state.unpublished
    return counted._replace(unpublished=state.unpublished, queue=state.queue + due)


def _faults(state: State) -> Iterator[Step]:
    if state.unpublished:
        yield "API dies", -1, state._replace(unpublished=state.unpublished - 1)
    if state.uncounted:
        yield "API dies early", -1, state._replace(uncounted=state.uncounted - 1)
    if state.queue:
        yield "message lost", -1, state._replace(queue=state.queue - 1)
    for number, child in enumerate(state.children):
        if child.does not in (IDLE, DEAD):
            dead = _with(state, number, Child(DEAD, child.awake, holds=child.does == WORKS))
            yield "die", number, dead
            yield "die, and redeliver", number, dead._replace(queue=state.queue + 1)
    sleeping = tuple(child._replace(awake=False) for child in state.children)
    yield "counters lost", -1, state._replace(published=0, ready=0, children=sleeping)


def explore(first: State, rules: Rules) -> dict[State, list[tuple[str, State]]]:
    """Return every state that can be reached, children sorted since they are alike, with what comes next."""
    found: dict[State, list[tuple[str, State]]] = {}
    left = [first]
    while left:
        state = left.pop()
        if state not in found:
            found[state] = [(name, _sorted(after)) for name, _, after in steps(state, rules)]
            left += [after for _, after in found[state]]
    return found


def _sorted(state: State) -> State:
    return state._replace(children=tuple(sorted(state.children)))


def stuck(found: dict[State, list[tuple[str, State]]], may: Callable[[State, State], bool]) -> set[State]:
    """Return the states from which no path of steps that `may` be counted on leads to the end."""
    before: dict[State, list[State]] = {state: [] for state in found}
    for state, following in found.items():
        for _, after in following:
            if may(state, after):
                before[after].append(state)
    saved: set[State] = set()
    left = [state for state in found if state.done]
    while left:
        state = left.pop()
        if state not in saved:
            saved.add(state)
            left += before[state]
    return set(found) - saved
