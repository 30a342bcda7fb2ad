"""Compare two graphs over the same texts: drift, batch invariance and speed, run as a worker runs them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from worker.engines.factory import build_engine
from worker.packs.pack import Pack
from worker.scoring.batches import Batches, Row
from worker.scoring.tokenizer import load_tokenizer

BATCH_TOKENS = 1_024
PROBE_ROWS = 64
PROBE_BATCHES = 20
SPEED_RUNS = 5
PROGRESS_STEP = 64

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """The difference between two graphs: share of equal labels; mean and maximum change of probability."""

    agreement: float
    mean: float
    max: float


def load_batches(pack: Pack) -> Batches:
    """Return the pack's graph loaded on one thread, as a worker's child loads it."""
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    return Batches(engine, labels=len(pack.labels), max_tokens=pack.max_tokens, batch_tokens=BATCH_TOKENS)


def encode(texts: Sequence[str], vocabulary: Path, max_tokens: int) -> list[Row]:
    """Return the token ids of each text, truncated to `max_tokens` with [SEP] kept."""
    encodings = load_tokenizer(vocabulary).encode_batch_fast(list(texts))
    return [_truncated(encoding.ids, max_tokens) for encoding in encodings]


def score(batches: Batches, rows: Sequence[Row], title: str) -> Logits:
    """Return the logit of positive against negative of each row (n,). Shows progress on a terminal."""
    parts = []
    with tqdm(desc=title, total=len(rows), unit=" texts", leave=False, disable=None) as bar:
        for begin in range(0, len(rows), PROGRESS_STEP):
            part = rows[begin : begin + PROGRESS_STEP]
            logits = batches.logits(part)
            parts.append(logits[:, 1] - logits[:, 0])
            bar.update(len(part))
    return np.concatenate(parts)


def measure_drift(reference: Logits, other: Logits) -> Drift:
    """Return the drift of `other` (n,) from `reference` (n,)."""
    differences = np.abs(positive(reference) - positive(other))
    same = (reference >= 0) == (other >= 0)
    return Drift(float(same.mean()), float(differences.mean()), float(differences.max()))


def positive(logits: Logits, temperature: float = 1.0) -> Logits:
    """Return the probabilities of `positive`, in a form that no logit overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits / temperature / 2))


def batch_invariant(batches: Batches, rows: Sequence[Row]) -> bool:
    """Return whether each row's logit is the same, bit for bit, alone and in random batches (seeded)."""
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


def _truncated(ids: list[int], max_tokens: int) -> list[int]:
    return ids if len(ids) <= max_tokens else [*ids[: max_tokens - 1], ids[-1]]
