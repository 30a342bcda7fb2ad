"""Links to Redis that break, fall silent or lose answers, by a proxy between each role and Redis."""

from __future__ import annotations

import random
from hashlib import sha1

from tasks.store import scripts
from tests.attacks.cluster import Cluster
from tests.attacks.proxy import Proxy
from tests.faults.kinds.kind import Break, Kind, Mend

# How the links of a role begin, and who it is.
ROLES = {
    "api": ("api", "the API"),
    "workers": ("worker", "both workers"),
    "worker_1": ("worker_1", "one worker"),
    "sender": ("webhooks", "the sender"),
}
HOW = {
    "reset": ("all open links of {} are reset", (0.0, 0.5)),
    "refuse": ("links of {} are reset as soon as they open", (1.0, 4.0)),
    "blackhole": ("links of {} hold everything back, and then pass it on", (2.0, 9.0)),
    "half_open": ("what is open of {} is dead in silence, new links live", (0.0, 0.5)),
    "slow": ("each block of {} takes 0.1 s longer", (2.0, 4.0)),
    "trickle": ("links of {} pass 512 bytes at a time", (2.0, 4.0)),
}
# All forms of a break are worth a role; the slow ones are so only where much is sent.
WHERE = {
    **dict.fromkeys(("reset", "refuse", "half_open"), ("api", "workers", "sender")),
    "blackhole": ("api", "workers", "worker_1", "sender"),
    **dict.fromkeys(("slow", "trickle"), ("api", "workers")),
}


def of(cluster: Cluster, role: str) -> list[Proxy]:
    return [link for name, link in cluster.links.items() if name.startswith(ROLES[role][0])]


def broken(how: str, role: str) -> Break:
    """Break the links of a role with a method of `Proxy`."""

    def breaks(cluster: Cluster, _: random.Random) -> Mend:
        for link in of(cluster, role):
            getattr(link, how)()

        def mend() -> None:
            for link in of(cluster, role):
                link.mend()

        return mend

    return breaks


def marks() -> dict[str, bytes]:
    """Return by its name what a call of each script holds: the digest by which clients name it."""
    return {
        path.stem: sha1(scripts.source(path).encode(), usedforsecurity=False).hexdigest().encode()
        for path in scripts.LUA.glob("*.lua")
    }


def answers_lost(role: str) -> Break:
    """Let each script that the role calls meanwhile lose its first answer, with its connection."""

    def breaks(cluster: Cluster, _: random.Random) -> Mend:
        for link in of(cluster, role):
            link.lose_answers(marks())

        def mend() -> None:
            for link in of(cluster, role):
                link.mend()

        return mend

    return breaks


def part_of(role: str) -> str:
    return f"links of {ROLES[role][0].partition('_')[0]}"


KINDS = [
    *(
        Kind(
            f"{role}_links_{how}",
            HOW[how][0].format(ROLES[role][1]),
            part_of(role),
            broken(how, role),
            HOW[how][1],
        )
        for how in HOW
        for role in WHERE[how]
    ),
    *(
        Kind(
            f"{role}_answers_lost",
            f"a script that is called by {ROLES[role][1]} runs, and its answer is lost; once for each script",
            part_of(role),
            answers_lost(role),
            (3.0, 5.0),
        )
        for role in ("api", "workers", "sender")
    ),
]
