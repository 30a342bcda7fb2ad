"""Turns: the requests of one caller do not hold up those of another.

One thread serves all requests of a process, so a request that can go on waits for all others that can. At
most `AT_ONCE` requests of one caller work at a time. While one waits for its client or its job, another has
its turn. Until a request shows its key, its caller is the address.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gevent.event import AsyncResult
from gevent.local import local

# More than one, so that requests need not wait for Redis one after the other.
AT_ONCE = 2


@dataclass
class _Queue:
    """The requests of one caller: those beyond `AT_ONCE` wait in the order in which they came."""

    requests: int = 0
    working: int = 0
    waiting: deque[AsyncResult[bool]] = field(default_factory=deque)

    def take(self) -> bool:
        """Wait for a turn; return False when the request may go on without one."""
        if self.working < AT_ONCE:
            self.working += 1
            return True
        turn: AsyncResult[bool] = AsyncResult()
        self.waiting.append(turn)
        try:
            return bool(turn.get())
        except BaseException:
            self._forgo(turn)
            raise

    def hand_over(self) -> None:
        """Give a turn that ends to the next request."""
        if self.waiting:
            self.waiting.popleft().set(True)
        else:
            self.working -= 1

    def _forgo(self, turn: AsyncResult[bool]) -> None:
        """Leave the queue: the request is ended while it waits."""
        if not turn.ready():
            self.waiting.remove(turn)
        elif turn.value:
            self.hand_over()


class Turns:
    """The turns of all callers of a process."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._own = local()

    def take(self, caller: str) -> str | None:
        """Wait for a turn of the caller in place of the one this greenlet has; return whose that was."""
        former = self.end()
        queue = self._queues.setdefault(caller, _Queue())
        queue.requests += 1
        self._own.caller, self._own.queue, self._own.has_turn = caller, queue, False
        self._own.has_turn = queue.take()
        return former

    def end(self) -> str | None:
        """Give this greenlet's turn, if any, to the next request of its caller; return whose it was."""
        queue: _Queue | None = getattr(self._own, "queue", None)
        if queue is None:
            return None
        self._let_go(queue)
        caller: str = self._own.caller
        self._own.queue = None
        queue.requests -= 1
        if not queue.requests:
            del self._queues[caller]
        return caller

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let another have the turn, if this greenlet has one, while it waits for its client or its job."""
        queue: _Queue | None = getattr(self._own, "queue", None)
        if queue is None:
            yield
            return
        self._let_go(queue)
        try:
            yield
        except ConnectionError:
            raise  # without a client there is little left to do
        except BaseException:
            self._own.has_turn = queue.take()
            raise
        self._own.has_turn = queue.take()

    def let_all_go_on(self) -> None:
        """Let all that wait go on without a turn: without Redis turns last until its timeouts."""
        for queue in self._queues.values():
            while queue.waiting:
                queue.waiting.popleft().set(False)

    def _let_go(self, queue: _Queue) -> None:
        if self._own.has_turn:
            self._own.has_turn = False
            queue.hand_over()


turns = Turns()
