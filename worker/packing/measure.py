"""How a quantised graph compares with the fp32 graph that it was made from, run as workers run them."""

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
BAR_STEP = 64

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """How far the probabilities of two graphs lie apart over the same texts."""

    agreement: float
    mean: float
    most: float


def load_batches(pack: Pack) -> Batches:
    """The pack's graph on one thread, as in one child of a worker."""
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    return Batches(engine, max_tokens=pack.max_tokens, batch_tokens=BATCH_TOKENS)


def encode(texts: Sequence[str], vocabulary: Path, limit: int) -> list[Row]:
    """Token ids of each text, cut to `limit`."""
    encodings = load_tokenizer(vocabulary).encode_batch_fast(list(texts))
    return [_cut(encoding.ids, limit) for encoding in encodings]


def score(batches: Batches, rows: Sequence[Row], title: str) -> Logits:
    """The logit of positive against negative of each row (n,), behind a progress bar on a terminal."""
    parts = []
    with tqdm(desc=title, total=len(rows), unit=" texts", leave=False, disable=None) as bar:
        for begin in range(0, len(rows), BAR_STEP):
            part = rows[begin : begin + BAR_STEP]
            parts.append(batches.logits(part))
            bar.update(len(part))
    return np.concatenate(parts)


def drift(reference: Logits, other: Logits) -> Drift:
    """Compare labels and probabilities."""
    apart = np.abs(positive(reference) - positive(other))
    same = (reference >= 0) == (other >= 0)
    return Drift(float(same.mean()), float(apart.mean()), float(apart.max()))


def positive(logits: Logits, temperature: float = 1.0) -> Logits:
    """Probabilities of `positive`, in a form that no logit overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits / temperature / 2))


def batch_invariant(batches: Batches, rows: Sequence[Row]) -> bool:
    """Whether each row's logit is the same, bit for bit, alone and in batches drawn at random (seeded)."""
    probe = _probe(rows)
    alone = np.array([batches.logits([row])[0] for row in probe])
    draw = random.Random(0)  # noqa: S311  no secret
    for _ in range(PROBE_BATCHES):
        numbers = draw.sample(range(len(probe)), draw.randint(1, len(probe)))
        if not np.array_equal(batches.logits([probe[number] for number in numbers]), alone[numbers]):
            return False
    return True


def speed_ratio(slow: Batches, fast: Batches, rows: Sequence[Row]) -> float:
    """CPU seconds of `slow` over those of `fast` for the same rows: the median of interleaved runs."""
    probe = _probe(rows)
    pairs = [(_cpu_seconds(slow, probe), _cpu_seconds(fast, probe)) for _ in range(SPEED_RUNS + 1)]
    return statistics.median(one / other for one, other in pairs[1:])


def _probe(rows: Sequence[Row]) -> Sequence[Row]:
    """Some of the rows, evenly spaced."""
    return rows[:: -(-len(rows) // PROBE_ROWS)]


def _cpu_seconds(batches: Batches, rows: Sequence[Row]) -> float:
    start = time.process_time()
    batches.logits(rows)
    return time.process_time() - start


def _cut(ids: list[int], limit: int) -> list[int]:
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]
