"""What the engine takes for chunks of texts, on one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from bench.simulate.store_calls import chunks_of
from samples.composed import composed_texts
from tasks.settings import Settings
from worker.engines.checked import CheckedEngine
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier


@dataclass(frozen=True)
class Times:
    """Seconds of each chunk, scaled to `chunk_texts` texts, and `read_s` of them without the engine."""

    chunk_texts: int
    chunk_s: list[float]
    read_s: float


class _Instant:
    """An engine that answers at once: what is left is tokenizing and the making of batches."""

    def __init__(self, batch_tokens: int) -> None:
        self.batch_tokens = batch_tokens

    def forward(self, _ids: Any, _mask: Any, _segments: Any, logits: Any) -> None:
        logits[:] = np.float32(0)


def engine_times(count: int, seed: int) -> Times:
    """Time `count` chunks on the configured pack; each is scored once before it is timed.

    As many are scored at once as make the work of a lease, because batches are made of all texts of a lease.
    """
    settings = Settings.read()
    pack = load_pack(settings.pack)
    engine = build_engine(pack, settings.engine, device=settings.device, threads=1)
    budget = settings.batch_tokens or engine.batch_tokens
    real = Classifier(pack, engine, batch_tokens=budget)
    instant = Classifier(pack, CheckedEngine(_Instant(budget), pack), batch_tokens=budget)
    chunks = chunks_of(composed_texts(count * settings.chunk_items, seed), "engine")[:count]
    texts = [[item.text for item in chunk.items] for chunk in chunks]
    size = round(statistics.mean(map(len, texts)))
    real.warm_up()
    alone_s = statistics.mean(_timed(real, part) for part in texts)
    together = max(1, round(settings.lease_work_s / alone_s))
    leases = [[*chain(*texts[start : start + together])] for start in range(0, len(texts), together)]
    timed = [_timed(real, part) * size / len(part) for part in leases]
    read_s = statistics.mean(_timed(instant, part) * size / len(part) for part in leases)
    return Times(size, timed, read_s)


def _timed(classifier: Classifier, texts: Sequence[str]) -> float:
    start = time.perf_counter()
    classifier.classify(texts)
    return time.perf_counter() - start
