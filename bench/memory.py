"""`make bench-memory`: the memory of a child over many batches of random shapes, on the pack it serves."""

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import psutil

from bench.report import circumstances
from samples.shipped import read_calibration
from tasks.settings import Settings
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.process.shared_weights import SharedBlocks
from worker.scoring.classifier import Classifier

MOST_GROWTH = 1.3
_MIB = 2**20
_LINES = 20  # of the printed table
_SAMPLE_EVERY = 25  # forwards


class Memory:
    """What this process holds in memory, in MiB: at first, and at most since."""

    def __init__(self, forwards: int) -> None:
        """`forwards` are expected; a line is printed now and then until they are made."""
        self.made = 0
        self._every = max(1, forwards // _LINES)
        self._process = psutil.Process()
        self.first = self.most = self._now()
        print(f"{'batches':>8}{'MiB':>10}\n{0:8}{self.first:10.1f}", flush=True)

    def count(self) -> None:
        """One forward more."""
        self.made += 1
        if self.made % _SAMPLE_EVERY == 0:
            self.most = max(self.most, self._now())
        if self.made % self._every == 0:
            print(f"{self.made:8}{self._now():10.1f}", flush=True)

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / _MIB


def main() -> int:
    """Measure, print, and write the figures as JSON where asked; 1 when memory grew more than it may."""
    options = _options()
    memory = _run(options.batches, options.seed)
    growth = memory.most / memory.first
    report: dict[str, Any] = circumstances() | {
        "batches": memory.made,
        "seed": options.seed,
        "warm_mib": round(memory.first, 1),
        "most_mib": round(memory.most, 1),
        "growth": round(growth, 3),
    }
    holds = growth <= MOST_GROWTH
    print(f"\n{report['processor']}, Python {report['python']}, pack {report['pack']}, seed {options.seed}")
    print(
        f"{memory.first:.1f} MiB after warm-up, {memory.most:.1f} MiB at most: {growth:.2f}x, "
        f"at most {MOST_GROWTH}x: {'holds' if holds else 'FAILS'}"
    )
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0 if holds else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--batches", type=int, default=50_000, help="forwards to make (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the shapes (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _run(forwards: int, seed: int) -> Memory:
    """Load the pack as a child does; score texts of random lengths, at most as many as a forward takes."""
    settings = Settings.read()
    pack = load_pack(settings.pack)
    with SharedBlocks(enabled=settings.shared_weights).shared():
        engine = build_engine(pack, settings.engine, device=settings.device, threads=1)
    budget = settings.batch_tokens or engine.batch_tokens
    classifier = Classifier(pack, engine, batch_tokens=budget)
    classifier.warm_up()
    chance = random.Random(seed)  # noqa: S311  no secret
    words = "".join(read_calibration())
    memory = Memory(forwards)
    while memory.made < forwards:
        length = round(pack.max_tokens ** chance.random())
        rows = round(max(1, budget // (length + 2)) ** chance.random())
        starts = [chance.randrange(len(words) - length) for _ in range(rows)]
        texts = [words[start : start + length] for start in starts]
        classifier.classify(texts, on_batch=memory.count)
    return memory


if __name__ == "__main__":
    sys.exit(main())
