"""Compare our verdicts and token ids with those of the stock pipeline."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from parity.exact import classifiers
from parity.stock import StockPipeline
from worker.packs.pack import Pack
from worker.scoring.tokenizer import UNKNOWN

TOLERANCE = 1e-5
_MIDPOINT = 0.5
_MAX_UNKNOWN = 0.3  # share of all ids; two tokenizers that know no token would agree on everything
_PROGRESS_STEP = 10  # texts


@dataclass(frozen=True)
class Check:
    """The result of one comparison."""

    name: str
    texts: int
    details: str
    passed: bool

    def __str__(self) -> str:
        """Return one line of the report."""
        return f"{'passed' if self.passed else 'FAILED'}  {self.name:46}{self.texts:6} texts  {self.details}"


def stock_pipeline(checkpoint: Path, max_tokens: int) -> StockPipeline:
    """Return the stock pipeline of a checkpoint, truncating texts at `max_tokens` as our pack does."""
    log = checkpoint.with_name(checkpoint.name + ".log")
    return StockPipeline(checkpoint, max_tokens=max_tokens, threads=_threads(), log=log)


def stock_scores(stock: StockPipeline, texts: Sequence[str], name: str) -> list[float]:
    """Return the pipeline's probability of positive for each text. Shows progress on a terminal."""
    scores = []
    with tqdm(
        desc=f"{name}: stock pipeline", total=len(texts), unit=" texts", leave=False, disable=None
    ) as bar:
        for start in range(0, len(texts), _PROGRESS_STEP):
            part = texts[start : start + _PROGRESS_STEP]
            scores += stock.scores(part)
            bar.update(len(part))
    return scores


def check_scores(name: str, pack: Pack, scores: Sequence[float], texts: Sequence[str]) -> list[Check]:
    """Return a check for each of our engines: its probabilities against `scores`, the pipeline's."""
    theirs = np.array(scores)
    checks = []
    for engine, classifier in classifiers(pack, _threads()):
        ours = np.array([verdict.kept[1] for verdict in classifier.classify(texts)])
        difference = np.abs(ours - theirs).max()
        flipped = int(((ours >= _MIDPOINT) != (theirs >= _MIDPOINT)).sum())
        details = (
            f"largest difference {difference:.1e}, {flipped} labels differ, "
            f"p {theirs.min():.3f} to {theirs.max():.3f}"
        )
        passed = bool(difference <= TOLERANCE and not flipped)
        checks.append(Check(f"{name}, {engine} fp32", len(texts), details, passed))
    return checks


def check_ids(name: str, pack: Pack, theirs: Sequence[list[int]], texts: Sequence[str]) -> Check:
    """Return the check of a worker's token ids against `theirs`, the pipeline's, without truncation."""
    _, classifier = next(classifiers(pack, _threads()))
    ours = [encoding.ids for encoding in classifier.tokenize(texts)]
    differing = [text for text, one, other in zip(texts, ours, theirs, strict=True) if one != other]
    flat = np.concatenate([np.array(row) for row in theirs])
    (unknown,) = classifier.tokenize([UNKNOWN])[0].ids[1:-1]
    share = float((flat == unknown).mean())
    details = f"{len(differing)} texts differ, {share:.1%} of {len(flat)} ids are unknown"
    if differing:
        details += f"; first difference: {differing[0]!a:.200}"
    return Check(f"{name}, token ids", len(texts), details, not differing and share < _MAX_UNKNOWN)


def _threads() -> int:
    """Return the number of cores. Only one side computes at a time, so each may use them all."""
    return len(os.sched_getaffinity(0))
