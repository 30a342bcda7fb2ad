"""Clocks that are wrong, memory that is short, and models that load slowly, fail to, or are changed."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import psutil

from tests.attacks.cluster import Cluster
from tests.conftest import eventually
from tests.faults.kinds.kind import Break, Kind, Mend, children, workers
from tests.shifted_clock import Clock, lacks_clock

SETTLE_S = 10
ROOM_BYTES = 2**20


def clock_shifted(role: str, ahead_s: int) -> Break:
    """Restart a process with another clock, and then with its own again."""

    def breaks(cluster: Cluster, _: random.Random) -> Mend:
        cluster.variables[role] = Clock(cluster.data_dir.parent, ahead_s).variables
        restart(cluster, role)

        def mend() -> None:
            cluster.variables.pop(role)
            restart(cluster, role)

        return mend

    return breaks


def restart(cluster: Cluster, name: str) -> None:
    cluster.hold_down(name)
    cluster.let_up(name)


def child_starved(cluster: Cluster, rng: random.Random) -> Mend:
    """Let a child allocate no more memory: less than a mebibyte of addresses."""
    child = rng.choice(children(cluster, rng.choice(workers(cluster))))
    limit_memory(child, child.memory_info().vms + ROOM_BYTES)
    return lambda: limit_memory(child, psutil.RLIM_INFINITY)


def limit_memory(process: psutil.Process, limit: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.rlimit(psutil.RLIMIT_AS, (limit, psutil.RLIM_INFINITY))


def load_slow(cluster: Cluster, rng: random.Random) -> Mend:
    """Stop the child that replaces a killed one while it loads the model."""
    name = rng.choice(workers(cluster))
    before = children(cluster, name)
    rng.choice(before).kill()

    def successors() -> list[psutil.Process]:
        return [child for child in children(cluster, name) if child not in before]

    found = eventually(successors, within_s=SETTLE_S)
    for child in found:
        child.suspend()

    def mend() -> None:
        for child in found:
            with suppress(psutil.NoSuchProcess):
                child.resume()

    return mend


def pack_changed(file: str, *, missing: bool) -> Break:
    """Take a file of the pack away, or change a byte of it, while children are replaced."""

    def breaks(cluster: Cluster, rng: random.Random) -> Mend:
        child = rng.choice(children(cluster, rng.choice(workers(cluster))))
        path = pack_of(cluster) / file
        whole = path.read_bytes()
        # Running children have the file mapped: it is replaced, never written to.
        other = path.with_name(f"{file}.changed")
        if missing:
            path.rename(other)
        else:
            other.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
            other.replace(path)
        child.kill()

        def mend() -> None:
            other.write_bytes(whole)
            other.replace(path)

        return mend

    return breaks


def pack_of(cluster: Cluster) -> Path:
    return Path(cluster.settings["SENTIMENT_PACK"])


def clock(role: str, who: str, off: str, ahead_s: int) -> Kind:
    how = "ahead" if ahead_s > 0 else "behind"
    return Kind(
        f"{role}_clock_{how}",
        f"{who} restarts with a clock that is {off} {how}",
        role.partition("_")[0],
        clock_shifted(role, ahead_s),
        (3.0, 5.0),
        lacks=lacks_clock,
    )


KINDS = [
    clock("worker_1", "one worker", "1 h", 3600),
    clock("worker_1", "one worker", "1 h", -3600),
    clock("api", "the API", "4 min", 240),
    clock("api", "the API", "4 min", -240),
    Kind("child_starved", "a child can allocate no more memory (RLIMIT_AS)", "worker", child_starved),
    Kind("model_slow", "the child that replaces a killed one is stopped while it loads", "worker", load_slow),
    Kind(
        "model_missing",
        "a file of the pack is gone while a child is replaced",
        "worker",
        pack_changed("vocab.txt", missing=True),
    ),
    Kind(
        "model_changed",
        "a byte of the weights is another while a child is replaced",
        "worker",
        pack_changed("model.bin", missing=False),
    ),
]
