"""Compare our fp32 probabilities and token ids with those of ModelScope's own pipeline."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from local.run_directory import make_run_directory
from parity.checkpoints import BASE, LARGE, LAYOUTS, TINY, Layout, random_checkpoint, write_checkpoint
from parity.compare import TOLERANCE, Check, check_ids, check_scores, stock_pipeline, stock_scores
from parity.exact import Probabilities, exact_pack
from parity.stock import ROOT, StockError, Text
from parity.texts import id_texts, pair_texts, review_texts
from tasks.console import replace_unencodable
from worker.engines.bert import BertShape
from worker.packing.source import read_source

# Random weights: shape and layout of each checkpoint.
_RANDOM = {
    "tiny": (TINY, Layout()),
    "three-labels": (replace(TINY, labels=3), Layout()),
    "seven-labels": (replace(TINY, labels=7), Layout("encoder.", "head.classifier.")),
    "pairs": (replace(TINY, labels=3), Layout(pairs=True)),
    "base": (BASE, Layout()),
    "large": (LARGE, Layout()),
}
SUBJECTS = ("layouts", "embedded", *_RANDOM)
_SLOW_TEXTS = 40  # of a large model, for which the stock pipeline takes seconds a text
_EMBEDDED = ROOT / "models" / "checkpoint"
_LAYOUT_TEXTS = 50


@dataclass(frozen=True)
class Run:
    """The size of the comparison, its seed, and the folder of its checkpoints."""

    texts: int
    id_texts: int
    seed: int
    folder: Path

    def checks(self, subject: str) -> Iterator[Check]:
        """Yield the checks of one of SUBJECTS."""
        if subject == "layouts":
            return self._check_layouts()
        if subject == "embedded":
            return self._check_model(subject, self._embedded())
        return self._check_model(subject, self._random(subject, *_RANDOM[subject]))

    def _check_model(self, name: str, checkpoint: Path) -> Iterator[Check]:
        """Yield the checks of probabilities on both engines, then that of token ids."""
        texts, others = self._texts(name)
        pack = exact_pack(checkpoint, self.folder / f"{name}-pack")
        with stock_pipeline(checkpoint, pack.max_tokens) as stock:
            print(name, "against", *(f"{package} {number}" for package, number in stock.versions.items()))
            scores, ids = stock_scores(stock, texts, name), stock.ids(others)
        yield from check_scores(name, pack, scores, texts)
        yield check_ids(name, pack, ids, others)

    def _texts(self, name: str) -> tuple[Sequence[Text], Sequence[Text]]:
        """Return the texts to compare probabilities, and those to compare token ids."""
        if name == "pairs":
            return pair_texts(self.texts, self.seed), pair_texts(self.id_texts, self.seed)
        count = min(self.texts, _SLOW_TEXTS) if name == "large" else self.texts
        return review_texts(count, self.seed), id_texts(self.id_texts, self.seed)

    def _check_layouts(self) -> Iterator[Check]:
        """Yield the checks of the same weights in each layout that checkpoints use."""
        texts = review_texts(_LAYOUT_TEXTS, self.seed)
        scores: Probabilities = np.empty((0, 2))
        for number, (name, layout) in enumerate(LAYOUTS.items()):
            checkpoint = self._random(f"layout-{number}", TINY, layout)
            pack = exact_pack(checkpoint, self.folder / f"layout-{number}-pack")
            # ModelScope refuses names without a prefix; its scores of the same weights are used instead.
            if layout.prefix:
                with stock_pipeline(checkpoint, pack.max_tokens) as stock:
                    scores = stock_scores(stock, texts, name)
            yield from check_scores(f"tiny, {name}", pack, scores, texts)

    def _random(self, name: str, shape: BertShape, layout: Layout) -> Path:
        return random_checkpoint(self.folder / name, shape, layout, self.seed)

    def _embedded(self) -> Path:
        source = read_source(_EMBEDDED)
        tokens = source.vocabulary.read_text("utf-8").rstrip("\n").split("\n")
        return write_checkpoint(self.folder / "embedded", source.shape, source.weights, tokens, Layout())


def main() -> int:
    """Print a line for each check. Return the exit code: 1 when a check fails."""
    replace_unencodable()
    options = _options()
    failed = 0
    print(f"required: probabilities within {TOLERANCE}, equal labels, equal token ids", flush=True)
    with TemporaryDirectory(dir=make_run_directory(), prefix="parity-") as folder:
        run = Run(options.texts, options.id_texts, options.seed, Path(folder))
        try:
            for subject in options.on:
                for check in run.checks(subject):
                    print(check, flush=True)
                    failed += not check.passed
        except StockError as error:
            print(error, file=sys.stderr)
            return 1
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m parity", description=__doc__)
    parser.add_argument(
        "--texts", type=int, default=500, help="number of texts to compare probabilities (%(default)s)"
    )
    parser.add_argument(
        "--id-texts", type=int, default=10_000, help="number of texts to compare token ids (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=20260101, help="seed of texts and weights (%(default)s)")
    parser.add_argument(
        "--on", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="what to compare (default: all)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
