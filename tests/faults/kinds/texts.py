"""Texts that take the process along that scores them. Each is sent among neighbours, which are scored."""

from __future__ import annotations

import random

from tests.attacks.cluster import Cluster
from tests.faults.kinds.kind import Kind, Mend, Poison, nothing_to_mend
from tests.faults.planted import poison

LOST = frozenset({"worker_lost", "attempts_exhausted"})


def nothing_more(_: Cluster, __: random.Random) -> Mend:
    """Break nothing: the text does."""
    return nothing_to_mend


def text(name: str, what: str, sent: str, codes: frozenset[str] = LOST) -> Kind:
    what = f"a text {what}; it is given up after three attempts, and its neighbours are scored"
    return Kind(name, what, "worker", nothing_more, (2.0, 4.0), poison=Poison(sent, codes))


KINDS = [
    text("text_aborts", "aborts its child (SIGABRT)", poison.ABORTS),
    text("text_hangs", "holds its child until the lease ends, and then the time limit", poison.HANGS),
    text(
        "text_eats_memory",
        "takes all memory that its child may have",
        poison.EATS_MEMORY,
        LOST | {"inference_failed"},
    ),
    text("text_kills_its_worker", "kills its worker with all children", poison.KILLS_ITS_WORKER),
]
