"""The texts that a benchmark scores, round by round, and statistics about their length."""

from __future__ import annotations

import statistics
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from bench.program import BenchError
from samples.composed import composed_texts


def add_text_arguments(parser: ArgumentParser, *, count: int, seed: int) -> None:
    """Add the options that choose the texts: a file, or composed ones of a seed."""
    parser.add_argument("--texts", type=Path, help="a file of texts, one a line; composed ones if not given")
    parser.add_argument("--count", type=int, default=count, help="texts in each run (%(default)s)")
    parser.add_argument("--seed", type=int, default=seed, help="of the composed texts (%(default)s)")


def texts_of_round(options: Namespace, number: int) -> list[str]:
    """Return the texts of one round. Composed ones differ from round to round, so that none profits."""
    if options.texts:
        return texts_from(options.texts, options.count)
    return composed_texts(options.count, options.seed + number)


def texts_name(options: Namespace) -> str:
    """Return what a report calls the texts."""
    return str(options.texts) if options.texts else f"composed, seed {options.seed}"


def texts_from(path: Path, count: int) -> list[str]:
    """Return the first `count` lines of a file that are not empty. Raise BenchError if it cannot be read."""
    try:
        lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path} cannot be read: {error}") from None
    return [line for line in lines if line][:count]


def statistics_of(texts: Sequence[str]) -> dict[str, float]:
    """Return the lengths of the texts in code points, and the share of texts that repeat another."""
    lengths = sorted(map(len, texts))
    percentiles = statistics.quantiles(lengths, n=100, method="inclusive")
    return {
        "count": len(texts),
        "mean": round(statistics.mean(lengths), 1),
        "p50": percentiles[49],
        "p95": percentiles[94],
        "max": lengths[-1],
        "repeated": round(1 - len(set(texts)) / len(texts), 4),
    }
