"""Tune a model on your own labelled texts, and make a pack of it if it is better than what there was.

    python -m training.tune labels.csv --start models/checkpoint --out models/mine

`labels.csv` has the columns `text` and `label`, with 2 to 64 labels. The state and the figures are kept in
`OUT.work`; the same command goes on where an interrupted one was. Exit codes: 0 the pack is written, 3 it is
not better, 1 an input cannot be used, 2 an option cannot be used, 130 the run was interrupted.
"""
# ruff: noqa: T201  talks to a person

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from tasks.errors import SentiqError
from worker.packing.terminal import INTERRUPTED, prepare_terminal, run_interruptible

REFUSED = 3
SEEDS = 2**32


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE.csv[.gz]", help="columns text,label")
    parser.add_argument("--start", required=True, help="a checkpoint's directory, or a ModelScope id")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the directory of the pack")
    parser.add_argument(
        "--labels", type=Path, metavar="FILE.json", help="JSON object from the labels as written to ids"
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--passes", type=_positive, default=8, help="most passes over the texts; default 8")
    parser.add_argument("--rate", type=_rate, help="peak learning rate; default by the width of the model")
    parser.add_argument("--batch-tokens", type=_positive, default=1024, help="tokens of a step; default 1024")
    parser.add_argument("--seed", type=_seed, default=1, help="default 1")
    parser.add_argument("--threads", type=_positive, help="default: as many as torch chooses")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and up to 1")
    return rate


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {SEEDS - 1:,}")
    return int(text)


def main(arguments: Sequence[str] | None = None, stopped: Event | None = None) -> int:
    """Tune a model. Return the exit code. `stopped` is set by a signal."""
    options = parse(arguments)
    try:
        prepare_terminal()
        # Imported here: torch and scikit-learn are installed only where models are trained.
        from training.tuning import Tuning  # noqa: PLC0415

        judgement = Tuning(options, stopped or Event()).run()
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except (SentiqError, OSError) as error:
        print(f"training.tune: {error}", file=sys.stderr)
        return 1
    print(f"{'written' if judgement.passed else 'not written'}: {judgement.reason}")
    return 0 if judgement.passed else REFUSED


if __name__ == "__main__":
    sys.exit(run_interruptible(lambda stopped: main(stopped=stopped)))
