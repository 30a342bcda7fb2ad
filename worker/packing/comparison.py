"""Compare two graphs over the same texts: drift, batch invariance and speed, run as a worker runs them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from worker.engines.factory import build_engine
from worker.packs.pack import Pack
from worker.scoring.batches import Batches, Row

PROBE_ROWS = 64
PROBE_BATCHES = 20
SPEED_RUNS = 5
PROGRESS_STEP = 64

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """The difference between two graphs: the share of equal labels, and how far probabilities moved.

    `mean` and `max` are over the texts, of the label whose probability moved the most.
    """

    agreement: float
    mean: float
    max: float


def load_batches(pack: Pack, separator: int, engine: str = "openvino") -> Batches:
    """Return the pack loaded on one thread, as a worker's child loads it. `separator` is the id of [SEP].

    The engine runs the graph, or with `torch` the reference weights. Raises EngineError or PackError.
    """
    built = build_engine(pack, engine, device="cpu", threads=1)
    return Batches(
        built,
        labels=len(pack.labels),
        max_tokens=pack.max_tokens,
        batch_tokens=built.batch_tokens,
        separator=separator if pack.input == "pair" else None,
    )


def score(batches: Batches, rows: Sequence[Row], title: str) -> Logits:
    """Return the logits of each row (n, labels). Shows progress on a terminal."""
    parts = []
    with tqdm(desc=title, total=len(rows), unit=" texts", leave=False, disable=None) as bar:
        for begin in range(0, len(rows), PROGRESS_STEP):
            part = rows[begin : begin + PROGRESS_STEP]
            parts.append(batches.logits(part))
            bar.update(len(part))
    return np.concatenate(parts)


def measure_drift(reference: Logits, other: Logits) -> Drift:
    """Return the drift of `other` (n, labels) from `reference` (n, labels)."""
    differences = np.abs(softmax(reference) - softmax(other)).max(axis=1)
    same = predicted(reference) == predicted(other)
    return Drift(float(same.mean()), float(differences.mean()), float(differences.max()))


def softmax(logits: Logits, temperature: float = 1.0) -> Logits:
    """Return the probabilities (n, labels), in a form that no logit overflows."""
    odds = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def predicted(logits: Logits) -> NDArray[np.int64]:
    """Return the number of the label of each row (n,); of a tie the last, as in verdicts."""
    return logits.shape[1] - 1 - logits[:, ::-1].argmax(axis=1)


def batch_invariant(batches: Batches, rows: Sequence[Row]) -> bool:
    """Return whether each row's logits are the same, bit for bit, alone and in random batches (seeded)."""
    probe = _probe(rows)
    alone = np.array([batches.logits([row])[0] for row in probe])
    draw = random.Random(0)  # noqa: S311  no secret
    for _ in range(PROBE_BATCHES):
        numbers = draw.sample(range(len(probe)), draw.randint(1, len(probe)))
        if not np.array_equal(batches.logits([probe[number] for number in numbers]), alone[numbers]):
            return False
    return True


def speed_ratio(slow: Batches, fast: Batches, rows: Sequence[Row]) -> float:
    """Return the CPU seconds of `slow` over those of `fast`: the median of interleaved runs."""
    probe = _probe(rows)
    pairs = [(_cpu_seconds(slow, probe), _cpu_seconds(fast, probe)) for _ in range(SPEED_RUNS + 1)]
    return statistics.median(one / other for one, other in pairs[1:])


def _probe(rows: Sequence[Row]) -> Sequence[Row]:
    """Return at most PROBE_ROWS of the rows, evenly spaced."""
    return rows[:: -(-len(rows) // PROBE_ROWS)]


def _cpu_seconds(batches: Batches, rows: Sequence[Row]) -> float:
    start = time.process_time()
    batches.logits(rows)
    return time.process_time() - start
