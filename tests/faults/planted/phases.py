"""Kills a child in a phase of its work, as a file orders it to; without the file nothing happens.

`sitecustomize` plants it where the variable names that file. It imports nothing of the programs.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

MODULE = "worker.process.child"
VARIABLE = "KILL_IN_PHASE"
BEFORE_LEASE, LEASED, SCORING, SCORED, WRITTEN = "before_lease", "leased", "scoring", "scored", "written"
_FORWARD_S = 0.005


def _ordered(phase: str) -> bool:
    """Take the order away if it is for this phase; of two children one does."""
    order = Path(os.environ[VARIABLE])
    try:
        if order.read_text("utf-8") != phase:
            return False
        order.unlink()
    except FileNotFoundError:
        return False
    return True


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at(phase: str) -> None:
    if _ordered(phase):
        _die()


def plant(module: Any) -> None:
    """Let a child look for its order in each phase."""
    lease, finish, score = module.lease, module.finish, module.Child._score

    def leased(*args: Any, **options: Any) -> Any:
        _at(BEFORE_LEASE)
        held = lease(*args, **options)
        if held is not None:
            _at(LEASED)
        return held

    def scored(*args: Any, **options: Any) -> Any:
        if _ordered(SCORING):
            threading.Timer(_FORWARD_S, _die).start()
        results = score(*args, **options)
        _at(SCORED)
        return results

    def finished(*args: Any, **options: Any) -> Any:
        written = finish(*args, **options)
        _at(WRITTEN)
        return written

    module.lease, module.finish, module.Child._score = leased, finished, scored
