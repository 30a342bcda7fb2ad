"""Compare our verdicts and token ids with those of the stock pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from parity.exact import ENGINES, Probabilities, probabilities, worker_ids
from parity.stock import StockPipeline, Text
from worker.packs.pack import Pack
from worker.scoring.tokenizer import UNKNOWN, load_tokenizer

TOLERANCE = 1e-5
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


def stock_scores(stock: StockPipeline, texts: Sequence[Text], name: str) -> Probabilities:
    """Return the pipeline's probabilities (n, labels) of texts or pairs. Shows progress on a terminal."""
    scores = []
    with tqdm(
        desc=f"{name}: stock pipeline", total=len(texts), unit=" texts", leave=False, disable=None
    ) as bar:
        for start in range(0, len(texts), _PROGRESS_STEP):
            part = texts[start : start + _PROGRESS_STEP]
            scores += stock.scores(part)
            bar.update(len(part))
    return np.array(scores)


def check_scores(name: str, pack: Pack, theirs: Probabilities, texts: Sequence[Text]) -> Iterator[Check]:
    """Yield a check for each of our engines: its probabilities against `theirs`, the pipeline's."""
    for engine in ENGINES:
        ours = probabilities(pack, engine, texts, _threads())
        difference = np.abs(ours - theirs).max()
        flipped = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
        given = len(np.unique(theirs.argmax(axis=1)))
        details = (
            f"largest difference {difference:.1e}, {flipped} labels differ, "
            f"{given} of {len(pack.labels)} labels given, p {theirs.min():.3f} to {theirs.max():.3f}"
        )
        passed = bool(difference <= TOLERANCE and not flipped)
        yield Check(f"{name}, {engine} fp32", len(texts), details, passed)


def check_ids(name: str, pack: Pack, theirs: Sequence[list[list[int]]], texts: Sequence[Text]) -> Check:
    """Return the check of a worker's ids against `theirs`, the pipeline's, without truncation.

    Both are the token ids and the segment ids of each text or pair.
    """
    ours = worker_ids(pack, texts)
    differing = [text for text, one, other in zip(texts, ours, theirs, strict=True) if one != other]
    flat = np.concatenate([np.array(row) for row, _ in theirs])
    share = float((flat == load_tokenizer(pack.path("vocab.txt")).token_to_id(UNKNOWN)).mean())
    details = f"{len(differing)} texts differ, {share:.1%} of {len(flat)} ids are unknown"
    if differing:
        details += f"; first difference: {differing[0]!a:.200}"
    return Check(f"{name}, token ids", len(texts), details, not differing and share < _MAX_UNKNOWN)


def _threads() -> int:
    """Return the number of cores. Only one side computes at a time, so each may use them all."""
    return len(os.sched_getaffinity(0))
