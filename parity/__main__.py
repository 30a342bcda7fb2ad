"""`make parity`: our fp32 probabilities and token ids against those of ModelScope's own pipeline."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from local.processes import ROOT
from parity.checkpoints import BASE, LAYOUTS, TINY, Layout, random_checkpoint, write_checkpoint
from parity.compare import TOLERANCE, Finding, compare_ids, compare_scores, stock_of, stock_scores
from parity.exact import exact_pack
from parity.stock import StockError
from parity.texts import id_texts, review_texts
from worker.engines.bert import BertShape
from worker.packing.source import read_source

SUBJECTS = ("layouts", "tiny", "embedded", "base")
_EMBEDDED = ROOT / "models" / "checkpoint"
_LAYOUT_TEXTS = 50


@dataclass(frozen=True)
class Run:
    """One run: how much to compare, on what, and where its checkpoints may lie."""

    texts: int
    id_texts: int
    seed: int
    workshop: Path

    def findings(self, subject: str) -> Iterator[Finding]:
        """Compare on one of SUBJECTS."""
        if subject == "layouts":
            return self._layouts()
        if subject == "embedded":
            return self._whole(subject, self._embedded())
        return self._whole(subject, self._random(subject, {"tiny": TINY, "base": BASE}[subject], Layout()))

    def _whole(self, name: str, checkpoint: Path) -> Iterator[Finding]:
        """Probabilities on both engines, then ids."""
        texts, others = review_texts(self.texts, self.seed), id_texts(self.id_texts, self.seed)
        pack = exact_pack(checkpoint, self.workshop / f"{name}-pack")
        with stock_of(checkpoint, pack.max_tokens) as stock:
            print(name, "against", *(f"{package} {number}" for package, number in stock.versions.items()))
            scores, ids = stock_scores(stock, texts, name), stock.ids(others)
        yield from compare_scores(name, pack, scores, texts)
        yield compare_ids(name, pack, ids, others)

    def _layouts(self) -> Iterator[Finding]:
        """The same weights under the names that checkpoints in circulation use."""
        texts = review_texts(_LAYOUT_TEXTS, self.seed)
        scores: list[float] = []
        for number, (name, layout) in enumerate(LAYOUTS.items()):
            checkpoint = self._random(f"layout-{number}", TINY, layout)
            pack = exact_pack(checkpoint, self.workshop / f"layout-{number}-pack")
            # ModelScope refuses names without a prefix: its answers on the same weights stand for them.
            if layout.prefix:
                with stock_of(checkpoint, pack.max_tokens) as stock:
                    scores = stock_scores(stock, texts, name)
            yield from compare_scores(f"tiny, {name}", pack, scores, texts)

    def _random(self, name: str, shape: BertShape, layout: Layout) -> Path:
        return random_checkpoint(self.workshop / name, shape, layout, self.seed)

    def _embedded(self) -> Path:
        source = read_source(_EMBEDDED)
        tokens = source.vocabulary.read_text("utf-8").rstrip("\n").split("\n")
        return write_checkpoint(self.workshop / "embedded", source.shape, source.weights, tokens, Layout())


def main() -> int:
    """Compare, print a line for each finding; 1 when one does not hold."""
    options = _options()
    failed = 0
    print(f"probabilities: at most {TOLERANCE} apart and the same label; ids: all the same", flush=True)
    with TemporaryDirectory(dir=ROOT / ".run", prefix="parity-") as workshop:
        run = Run(options.texts, options.id_texts, options.seed, Path(workshop))
        try:
            for subject in options.on:
                for finding in run.findings(subject):
                    print(finding, flush=True)
                    failed += not finding.holds
        except StockError as error:
            print(error, file=sys.stderr)
            return 1
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m parity", description=__doc__)
    parser.add_argument("--texts", type=int, default=500, help="whose probabilities to compare (%(default)s)")
    parser.add_argument("--id-texts", type=int, default=10_000, help="whose ids to compare (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of texts and weights (%(default)s)")
    parser.add_argument("--on", nargs="+", choices=SUBJECTS, default=SUBJECTS, help="all, if not given")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
