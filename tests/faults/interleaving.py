"""Explores every order of the steps of children and a reconciler, with faults between any two of them.

A step is one command of Redis; a script is one command. What has been explored from a state is not explored
again from an equal one, unless more faults are left.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tasks.store import keys
from tests.faults.actors import CLOCK, PASS_S, WAKEUPS, Actors
from tests.faults.invariants import BrokenError, check_state, check_step, require
from tests.faults.snapshots import Snapshot, put_back, take, take_from, taken
from tests.faults.states import (
    NOTHING_KNOWN,
    SHOWN,
    Child,
    Faults,
    Running,
    State,
    died,
    with_child,
    without_round,
)
from tests.faults.stepping import Command, Ended, next_command
from tests.faults.steps import READS, Steps

FAIR_ROUNDS = 12  # an outage of Redis, its grace and all attempts take fewer


@dataclass
class Explorer:
    """Explores from one state on. `states`, `steps` and `ends` count what it has seen."""

    actors: Actors
    job_id: str
    states: int = 0
    steps: int = 0
    ends: int = 0
    _seen: dict[Any, list[Faults]] = field(default_factory=lambda: defaultdict(list))
    _fair: set[Any] = field(default_factory=set)
    _current: Snapshot | None = None

    def __post_init__(self) -> None:
        self.steps_of = Steps(self.actors.names)

    def explore(self, children: int, faults: Faults, *, most: int | None = None) -> bool:
        """Visit every state that can be reached, at `most` so many; return whether it was all of them.

        Raises BrokenError with the path where an invariant does not hold.
        """
        first = tuple(Child(pid) for pid in range(1, children + 1))
        stack = [iter([State(take(self.actors.real), first, faults, pids=children)])]
        while stack:
            state = next(stack[-1], None)
            if state is None:
                stack.pop()
            elif self._is_new(state):
                if self.states == most:
                    return False
                self.states += 1
                stack.append(self._followers(state))
        return True

    def _is_new(self, state: State) -> bool:
        known = self._seen[state.known]
        if any(faults.covers(state.left) for faults in known):
            return False
        known.append(state.left)
        return True

    def _followers(self, state: State) -> Iterator[State]:
        """Yield the states that one step leads to; check each, and that all work can end from an idle one."""
        try:
            if state.idle:
                self._check_end(state)
            for label, act in self._acts(state):
                follower = act()
                self.steps += 1
                yield replace(follower, path=(*state.path, label))
        except BrokenError as error:
            path = "\n".join(state.path)
            raise BrokenError(f"{error}\nafter {len(state.path)} steps:\n{path}") from error

    def _acts(self, state: State) -> Iterator[tuple[str, Callable[[], State]]]:
        for number, child in enumerate(state.children):
            yield from self._acts_of(state, number, child)
        # Idle children differ by their pid only, so the first one takes the wake-up.
        idle = next((n for n, each in enumerate(state.children) if not (each.running or each.dead)), None)
        if idle is not None and state.redis.content.get(WAKEUPS):
            yield "a child begins", partial(self._begin, state, idle, sick=False)
            if state.left.returns:
                less = replace(state, left=replace(state.left, returns=state.left.returns - 1))
                yield "a sick child begins", partial(self._begin, less, idle, sick=True)
        if state.round:
            yield f"round: {self._named(state.round)}", partial(self._go_on, state, None)
        else:
            yield "a round begins", partial(self._begin_round, state)
        yield from self._faults(state)

    def _acts_of(self, state: State, number: int, child: Child) -> Iterator[tuple[str, Callable[[], State]]]:
        if child.running is None:
            return
        named = f"{child.pid}: {self._named(child.running)}"
        yield named, partial(self._go_on, state, number)
        if state.left.repeats:
            less = replace(state, left=replace(state.left, repeats=state.left.repeats - 1))
            yield f"{named}, twice", partial(self._go_on, less, number, times=2)
        if state.left.crashes:
            less = replace(state, left=replace(state.left, crashes=state.left.crashes - 1))
            yield f"{child.pid} dies", partial(died, less, number)

    def _faults(self, state: State) -> Iterator[tuple[str, Callable[[], State]]]:
        if state.left.passes:
            less = replace(state, left=replace(state.left, passes=state.left.passes - 1))
            yield "time passes", partial(self._change, less, lambda redis: redis.incrby(CLOCK, PASS_S))
        if state.left.losses and state.redis.content.get(WAKEUPS):
            less = replace(state, left=replace(state.left, losses=state.left.losses - 1))
            yield "wake-ups are lost", partial(self._change, less, lambda redis: redis.delete(WAKEUPS))
        if state.left.crashes and state.round:
            less = replace(state, left=replace(state.left, crashes=state.left.crashes - 1))
            yield "the round dies", partial(without_round, less, NOTHING_KNOWN)

    def _named(self, running: Running) -> str:
        words = running.command.words if running.command else []
        return " ".join([self.actors.names.get(words[1], words[1]) if len(words) > 1 else "", *words[:1]])

    def _begin(self, state: State, number: int, *, sick: bool) -> State:
        pid = state.children[number].pid
        program = self.actors.child(pid, sick=sick)
        running = self._continued(Running("sick" if sick else "works", program))
        begun = with_child(state, number, replace(state.children[number], running=running))
        return self._go_on(begun, number)

    def _begin_round(self, state: State) -> State:
        alive = frozenset(child.pid for child in state.children if not child.dead)
        running = Running(f"round of {sorted(alive)}", self.actors.round(alive, state.memory))
        return self._go_on(replace(state, round=self._continued(running)), None)

    def _go_on(self, state: State, number: int | None, times: int = 1) -> State:
        """Do the next step of a child, or of the round, and what follows it that nobody else can see."""
        running = state.round if number is None else state.children[number].running
        assert running is not None
        before, ended = state.redis, None
        while ended is None:
            assert running.command is not None
            answers, after = self._send(before, running.command, times)
            if after is not before:
                self._check(before, running.command, after)
            running, before, times = replace(running, answers=(*running.answers, answers[-1])), after, 1
            running, ended = self._next(running)
            if ended is None and not self.steps_of.is_private(running.command):
                break
        gone_on = replace(state, redis=before)
        if number is None:
            return without_round(gone_on, ended.value) if ended else replace(gone_on, round=running)
        if ended is None:
            return with_child(gone_on, number, replace(state.children[number], running=running))
        if running.name == "sick":
            return died(gone_on, number)
        return with_child(gone_on, number, replace(state.children[number], running=None))

    def _next(self, running: Running) -> tuple[Running, Ended | None]:
        found = next_command(self.actors.client, running.program, running.answers)
        if isinstance(found, Ended):
            return running, found
        since = len(running.answers) if self.steps_of.begins_section(found) else running.since
        return replace(running, command=found, since=since), None

    def _continued(self, running: Running) -> Running:
        return self._next(running)[0]

    def _send(self, before: Snapshot, command: Command, times: int) -> tuple[list[Any], Snapshot]:
        """Send a command so many times to a server that is as before; return its answers, and how it is then.

        In one round trip, since a scheduler of processes takes longer than Redis.
        """
        if command.args[0] == "TIME":
            return [(int(before.content[CLOCK]), 0)] * times, before
        pipe: Any = self.actors.real.pipeline(transaction=False)
        if restored := self._current is not before:
            put_back(pipe, before)
        for _ in range(times):
            pipe.execute_command(*command.args, **dict(command.options))
        if changing := command.args[0] not in READS:
            take_from(pipe)
        answers = pipe.execute()[restored:]
        self._current = taken(answers.pop()) if changing else before
        return answers, self._current

    def _check(self, before: Snapshot, command: Command, after: Snapshot) -> None:
        words = command.words
        script = self.actors.names.get(words[1], "") if len(words) > 1 else ""
        check_step(before, script, words, after, self.job_id)
        check_state(after, self.job_id)

    def _change(self, state: State, change: Callable[[Any], object]) -> State:
        put_back(self.actors.real, state.redis)
        change(self.actors.real)
        self._current = take(self.actors.real)
        return replace(state, redis=self._current)

    def _check_end(self, state: State) -> None:
        """Check that everything ends when nothing breaks any more: time passes, and all do their work."""
        known = (state.redis.digest(*SHOWN), state.memory)
        if known in self._fair:
            return
        self._fair.add(known)
        self.ends += 1
        state = replace(state, children=(Child(state.pids + 1),), left=Faults())
        for _ in range(FAIR_ROUNDS):
            if keys.OPEN_JOBS not in state.redis.content:
                return
            state = self._change(state, lambda redis: redis.incrby(CLOCK, 1))
            state = self._run(self._begin_round(state))
            while state.redis.content.get(WAKEUPS):
                state = self._run(self._begin(state, 0, sick=False))
        require(keys.OPEN_JOBS not in state.redis.content, "work waits for ever")

    def _run(self, state: State) -> State:
        """Do all that has begun, to its end."""
        while not state.idle:
            state = self._go_on(state, None if state.round else 0)
        return state
