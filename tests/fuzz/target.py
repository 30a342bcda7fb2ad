"""What is fuzzed: a function that takes an input, and passes on what contradicts its promise."""

from __future__ import annotations

import hashlib
import resource
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutation import Mutator

CORPUS = Path(__file__).parent / "corpus"
# Of processor time and memory for an input of 4 KiB; a busy machine is no finding.
MOST_S, MOST_BYTES = 2.0, 2**27


class BrokenPromiseError(AssertionError):
    """A target answered, and wrongly, or took too long or too much."""


@dataclass(frozen=True)
class Target:
    """A reader. `check` raises nothing but for a finding; `share` is its part of all inputs."""

    name: str
    check: Callable[[bytes], None]
    share: int = 1
    words: Sequence[bytes] = ()

    @property
    def corpus(self) -> list[bytes]:
        """Return the inputs that are kept: plain ones, and what was found before."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).iterdir())]


@dataclass(frozen=True)
class Finding:
    """An input, and how the target failed."""

    target: str
    data: bytes
    what: str

    @property
    def file_name(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:12]


@dataclass(frozen=True)
class Run:
    """How many inputs a target took, its processor time for all and for the slowest, and what was found."""

    target: str
    inputs: int
    seconds: float
    slowest_s: float
    findings: Sequence[Finding]


def run(target: Target, inputs: int, seed: int, *, most_findings: int = 5) -> Run:
    """Give a target so many inputs; stop when the most findings were made, of different kinds."""
    mutator = Mutator(f"{target.name}/{seed}", target.corpus, target.words)
    found: dict[str, Finding] = {}
    seconds = slowest = 0.0
    for number in range(inputs):
        data = mutator.next()
        taken, what = attempt(target, data)
        seconds, slowest = seconds + taken, max(slowest, taken)
        if what:
            found.setdefault(what.splitlines()[-1][:60], Finding(target.name, data, what))
            if len(found) == most_findings:
                return Run(target.name, number + 1, seconds, slowest, list(found.values()))
    return Run(target.name, inputs, seconds, slowest, list(found.values()))


def attempt(target: Target, data: bytes) -> tuple[float, str]:
    """Return the processor time for an input, and what is wrong, or nothing."""
    memory, begun, what = _most_memory(), time.process_time(), ""
    try:
        target.check(data)
    except Exception:  # noqa: BLE001  any that the target did not declare
        what = traceback.format_exc(limit=-4).strip()
    taken = time.process_time() - begun
    if taken > MOST_S:
        what = what or f"it took {taken:.1f} s"
    if (grown := _most_memory() - memory) > MOST_BYTES:
        what = what or f"it took {grown / 2**20:.0f} MiB"
    return taken, what


def _most_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
