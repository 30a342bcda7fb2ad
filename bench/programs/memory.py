"""Check that a worker child's memory stays flat over 50,000 batches of random shapes."""

from __future__ import annotations

import random
from argparse import ArgumentParser, Namespace

import psutil

from bench.program import Program, Report
from bench.report import environment, verdict
from local.logs import Log
from samples.shipped import read_calibration
from tasks.settings import Settings
from worker.engines.factory import build_engine
from worker.packs.pack import Pack, load_pack
from worker.process.shared_weights import SharedBlocks
from worker.scoring.classifier import Classifier

# Since the warm-up. A processor without VNNI needs larger kernels for each shape, and more than this.
_MAX_GROWTH = 1.3
# In the second half, when every shape has been met: anything more is a leak.
_MAX_LATER_GROWTH = 1.1
_MIB = 2**20
_TABLE_ROWS = 20
_SAMPLE_EVERY = 25  # batches


class _MemoryMeter:
    """Samples the resident memory of this process in MiB, and prints a table as the batches go by."""

    def __init__(self, expected_batches: int) -> None:
        self.batches = 0
        self._half = expected_batches // 2
        self._print_every = max(1, expected_batches // _TABLE_ROWS)
        self._process = psutil.Process()
        self.first = self.max = self.max_of_first_half = self._now()
        print(f"{'batches':>8}{'MiB':>10}\n{0:8}{self.first:10.1f}", flush=True)

    def count(self) -> None:
        """Count one more batch."""
        self.batches += 1
        if self.batches % _SAMPLE_EVERY == 0:
            self.max = max(self.max, self._now())
        if self.batches <= self._half:
            self.max_of_first_half = self.max
        if self.batches % self._print_every == 0:
            print(f"{self.batches:8}{self._now():10.1f}", flush=True)

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / _MIB


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--batches", type=int, default=50_000, help="batches to score (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the shapes (%(default)s)")


def _run(options: Namespace, _log: Log) -> Report:
    memory = _score_batches(options.batches, options.seed)
    growth, later_growth = memory.max / memory.first, memory.max / memory.max_of_first_half
    figures = environment() | {
        "batches": memory.batches,
        "seed": options.seed,
        "warm_mib": round(memory.first, 1),
        "most_mib": round(memory.max, 1),
        "growth": round(growth, 3),
        "later_growth": round(later_growth, 3),
    }
    bounds = growth <= _MAX_GROWTH, later_growth <= _MAX_LATER_GROWTH
    summary = f"""
{figures["processor"]}, Python {figures["python"]}, pack {figures["pack"]}, seed {options.seed}
{memory.first:.1f} MiB after warm-up, {memory.max:.1f} MiB at most: {growth:.2f}x, \
at most {_MAX_GROWTH}x: {verdict(bounds[0])}
{memory.max_of_first_half:.1f} MiB at most in the first half: later growth {later_growth:.2f}x, \
at most {_MAX_LATER_GROWTH}x: {verdict(bounds[1])}"""
    return Report(figures, summary, all(bounds))


def _score_batches(batches: int, seed: int) -> _MemoryMeter:
    """Load the pack as a child does, and score random texts until that many batches are done."""
    settings = Settings.read()
    pack = load_pack(settings.pack)
    with SharedBlocks(enabled=settings.shared_weights).shared():
        engine = build_engine(pack, settings.engine, device=settings.device, threads=1)
    budget = settings.batch_tokens or engine.batch_tokens
    classifier = Classifier(pack, engine, batch_tokens=budget)
    classifier.warm_up()
    chance = random.Random(seed)  # noqa: S311  no secret
    characters = "".join(read_calibration())
    memory = _MemoryMeter(batches)
    while memory.batches < batches:
        texts = _random_texts(chance, characters, pack, budget)
        classifier.classify(texts, on_batch=memory.count)
    return memory


def _random_texts(chance: random.Random, characters: str, pack: Pack, budget: int) -> list[str]:
    """Return texts of one random length, at most as many as fit a batch of `budget` tokens."""
    length = round(pack.max_tokens ** chance.random())
    rows = round(max(1, budget // (length + 2)) ** chance.random())
    starts = [chance.randrange(len(characters) - length) for _ in range(rows)]
    return [characters[start : start + length] for start in starts]


PROGRAM = Program(_add_arguments, _run)
