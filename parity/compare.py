"""What ModelScope answers against what we answer."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from parity.exact import classifiers
from parity.stock import Stock
from worker.packs.pack import Pack
from worker.scoring.tokenizer import UNKNOWN

TOLERANCE = 1e-5
_MIDPOINT = 0.5
_MOST_UNKNOWN = 0.3  # of all ids: a tokenizer that knows nothing agrees with another such one
_STEP = 10  # texts between two strokes of the progress bar


@dataclass(frozen=True)
class Finding:
    """One line of the table."""

    what: str
    texts: int
    found: str
    holds: bool

    def __str__(self) -> str:
        """The line."""
        return f"{'holds' if self.holds else 'FAILS'}  {self.what:46}{self.texts:6} texts  {self.found}"


def stock_of(checkpoint: Path, max_tokens: int) -> Stock:
    """ModelScope's pipeline over a checkpoint; it cuts long texts where our pack does."""
    log = checkpoint.with_name(checkpoint.name + ".log")
    return Stock(checkpoint, max_tokens=max_tokens, threads=_threads(), log=log)


def stock_scores(stock: Stock, texts: Sequence[str], name: str) -> list[float]:
    """The pipeline's probabilities of positive, behind a progress bar on a terminal."""
    scores = []
    with tqdm(
        desc=f"{name}: the pipeline", total=len(texts), unit=" texts", leave=False, disable=None
    ) as bar:
        for start in range(0, len(texts), _STEP):
            part = texts[start : start + _STEP]
            scores += stock.scores(part)
            bar.update(len(part))
    return scores


def compare_scores(name: str, pack: Pack, scores: Sequence[float], texts: Sequence[str]) -> list[Finding]:
    """Probabilities of positive on each of our engines against the pipeline's."""
    theirs = np.array(scores)
    findings = []
    for engine, classifier in classifiers(pack, _threads()):
        ours = np.array([verdict.positive_prob for verdict in classifier.classify(texts)])
        apart = np.abs(ours - theirs).max()
        others = int(((ours >= _MIDPOINT) != (theirs >= _MIDPOINT)).sum())
        found = (
            f"at most {apart:.1e} apart, {others} other labels, p {theirs.min():.3f} to {theirs.max():.3f}"
        )
        holds = bool(apart <= TOLERANCE and not others)
        findings.append(Finding(f"{name}, {engine} fp32", len(texts), found, holds))
    return findings


def compare_ids(name: str, pack: Pack, theirs: Sequence[list[int]], texts: Sequence[str]) -> Finding:
    """Token ids as workers make them against those of the tokenizer that the pipeline uses, cut nowhere."""
    _, classifier = next(classifiers(pack, _threads()))
    ours = [encoding.ids for encoding in classifier.tokenize(texts)]
    differing = [text for text, one, other in zip(texts, ours, theirs, strict=True) if one != other]
    flat = np.concatenate([np.array(row) for row in theirs])
    (unknown,) = classifier.tokenize([UNKNOWN])[0].ids[1:-1]
    share = float((flat == unknown).mean())
    found = f"{len(differing)} with other ids, {share:.1%} of {len(flat)} ids unknown"
    if differing:
        found += f"; the first: {differing[0]!a:.200}"
    return Finding(f"{name}, token ids", len(texts), found, not differing and share < _MOST_UNKNOWN)


def _threads() -> int:
    """Either side computes alone and may use every core."""
    return len(os.sched_getaffinity(0))
