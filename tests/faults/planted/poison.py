"""Texts that break the child, or the worker, that scores them. No product code knows of them.

`sitecustomize` plants this into programs before anything of theirs is imported, so this imports none of it.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODULE = "worker.scoring.classifier"
ROOM_BYTES, BLOCK_BYTES = 2**26, 2**20


def hang() -> None:
    """Come to no end, and answer nothing but SIGKILL."""
    while True:
        time.sleep(1)


def eat_memory() -> None:
    """Allocate until nothing is left; the machine itself is spared by a limit."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM_BYTES, most))
    for _ in _blocks():
        pass


def _blocks() -> Iterator[int]:
    eaten = []
    while True:
        eaten.append(bytearray(BLOCK_BYTES))
        yield len(eaten)


def kill_the_worker() -> None:
    """Kill the parent, and with it all of its children."""
    os.kill(os.getppid(), signal.SIGKILL)
    hang()


# What a text does to the process that scores it.
EFFECTS: dict[str, Callable[[], None]] = {
    "这条评论让进程中止": os.abort,
    "这条评论让进程不再回应": hang,
    "这条评论吃掉所有内存": eat_memory,
    "这条评论带走整个进程组": kill_the_worker,
}
ABORTS, HANGS, EATS_MEMORY, KILLS_ITS_WORKER = EFFECTS


def poison(module: Any) -> None:
    """Let the classifier of the module suffer from these texts."""
    answer_until = module.Classifier.answer_until

    def poisoned(self: Any, questions: Any, *args: Any, **options: Any) -> Any:
        for question in questions:
            if effect := EFFECTS.get(question.text):
                effect()
        return answer_until(self, questions, *args, **options)

    module.Classifier.answer_until = poisoned
