"""`make bench-engines`: a StructBERT-base on our engines and on ModelScope's own pipeline, interleaved.

Every round scores new texts, on one contender after the other; only ratios within a round are compared.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.base import SEED, base_checkpoint, int8_pack
from bench.report import heading, machine, named, spread
from bench.texts import statistics_of, texts_from
from parity.exact import exact_pack
from parity.stock import StockError, StockPipeline
from samples.composed import composed_texts
from worker.engines.factory import build_engine
from worker.packs.pack import Pack
from worker.scoring.classifier import Classifier

INT8, FP32, TORCH, STOCK = "int8, OpenVINO", "fp32, OpenVINO", "fp32, torch", "stock pipeline"
# How many times as fast int8 has to be.
LEAST = {TORCH: 4, STOCK: 30}
_PACKAGES = ("openvino", "torch", "tokenizers", "numpy")


@dataclass(frozen=True)
class Contender:
    """Something that scores texts; `most` bounds how many of a round's, for what would take all day."""

    name: str
    score: Callable[[Sequence[str]], object]
    most: int

    def rate(self, texts: Sequence[str]) -> float:
        """Texts per second."""
        part = texts[: self.most]
        start = time.monotonic()
        self.score(part)
        return len(part) / (time.monotonic() - start)


def main() -> int:
    """Measure, print, and write the figures as JSON where asked; 1 when int8 is slower than it has to be."""
    options = _options()
    print("making the model and loading it into each engine", flush=True)
    pack = int8_pack()
    try:
        with TemporaryDirectory() as workshop, _contenders(options, pack, Path(workshop)) as (loaded, stock):
            report = _measure(options, loaded) | {"stock_versions": stock.versions}
    except StockError as error:
        print(f"bench.engines: {error}", file=sys.stderr)
        return 1
    report |= {"pack": f"{pack.id} {pack.revision}", "threads": options.threads}
    print(_summary(report))
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0 if all(report["holds"].values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.engines", description=__doc__)
    parser.add_argument("--texts", type=Path, help="a file of texts, one a line; composed ones if not given")
    parser.add_argument("--count", type=int, default=128, help="texts in each round (%(default)s)")
    parser.add_argument("--stock", type=int, default=8, help="of them for the stock pipeline (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the composed texts (%(default)s)")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cores, help="of every contender (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


@contextmanager
def _contenders(
    options: argparse.Namespace, pack: Pack, workshop: Path
) -> Iterator[tuple[list[Contender], StockPipeline]]:
    """Everything that is measured, loaded; the stock pipeline is the last of them."""
    exact = exact_pack(base_checkpoint(), workshop / "fp32")
    threads, log = options.threads, workshop / "stock.log"
    ours = [
        Contender(name, _classifier(each, engine, threads).classify, options.count)
        for name, each, engine in (
            (INT8, pack, "openvino"),
            (FP32, exact, "openvino"),
            (TORCH, exact, "torch"),
        )
    ]
    with StockPipeline(base_checkpoint(), max_tokens=pack.max_tokens, threads=threads, log=log) as stock:
        yield [*ours, Contender(STOCK, stock.scores, min(options.stock, options.count))], stock


def _classifier(pack: Pack, engine: str, threads: int) -> Classifier:
    """What workers run: the same sorted batches whatever the engine."""
    built = build_engine(pack, engine, device="cpu", threads=threads)
    return Classifier(pack, built, batch_tokens=built.batch_tokens)


def _measure(options: argparse.Namespace, contenders: Sequence[Contender]) -> dict[str, Any]:
    rounds: list[dict[str, float]] = []
    # The first meets every tensor shape, which is not what is measured.
    for number in range(options.rounds + 1):
        texts = _texts(options, number)
        rates = {each.name: each.rate(texts) for each in contenders}
        title = f"round {number}" if number else "warm-up"
        print(title, *(f"{name} {rate:.2f}" for name, rate in rates.items()), sep="   ", flush=True)
        rounds.append(rates)
    ratios = {
        name: spread([rates[INT8] / rates[name] for rates in rounds[1:]]) for name in (FP32, TORCH, STOCK)
    }
    return {
        **machine(_PACKAGES),
        "texts": str(options.texts) if options.texts else f"composed, seed {options.seed}",
        "text_chars": statistics_of(texts),
        "texts_per_second": {name: spread([rates[name] for rates in rounds[1:]]) for name in rates},
        "int8_against": ratios,
        "holds": {name: ratios[name]["median"] >= least for name, least in LEAST.items()},
    }


def _texts(options: argparse.Namespace, number: int) -> list[str]:
    """The texts of one round: new ones where they are composed."""
    if options.texts:
        return texts_from(options.texts, options.count)
    return composed_texts(options.count, options.seed + number)


def _summary(report: dict[str, Any]) -> str:
    lines = [heading(report), "stock pipeline: " + named(report["stock_versions"])]
    lines += [f"one process of {report['threads']} threads at a time", ""]
    for name, rate in report["texts_per_second"].items():
        lines.append(f"{name:16}{rate['median']:8.2f} texts/s  ({rate['min']:.2f} to {rate['max']:.2f})")
    lines.append("")
    for name, ratio in report["int8_against"].items():
        asked = f", at least {LEAST[name]}: {_word(report['holds'][name])}" if name in LEAST else ""
        apart = f"({ratio['min']:.1f} to {ratio['max']:.1f})"
        lines.append(f"int8 against {name:16}{ratio['median']:6.1f}x  {apart}{asked}")
    return "\n" + "\n".join(lines)


def _word(holds: bool) -> str:  # noqa: FBT001  a predicate's answer
    return "holds" if holds else "FAILS"


if __name__ == "__main__":
    sys.exit(main())
