"""Compare the rates of int8, fp32, torch and ModelScope's own pipeline at base size.

The model has StructBERT-base's shape and random weights.
Every round scores new texts on one contender after the other; only ratios within a round are compared.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.base_model import SEED, base_checkpoint, int8_pack
from bench.program import Program, Report
from bench.report import heading, machine, spread, verdict, version_line
from bench.texts import add_text_arguments, statistics_of, texts_name, texts_of_round
from local.logs import Log
from parity.exact import exact_pack
from parity.stock import StockError, StockPipeline
from worker.engines.factory import build_engine
from worker.packs.pack import Pack
from worker.scoring.classifier import Classifier

_INT8, _FP32, _TORCH, _STOCK = "int8, OpenVINO", "fp32, OpenVINO", "fp32, torch", "stock pipeline"
_MIN_SPEEDUP = {_TORCH: 4, _STOCK: 30}  # of int8 against each
_PACKAGES = ("openvino", "torch", "tokenizers", "numpy")


@dataclass(frozen=True)
class Contender:
    """A scorer of texts; `max_texts` bounds its part of a round, because some would take all day."""

    name: str
    score: Callable[[Sequence[str]], object]
    max_texts: int

    def rate(self, texts: Sequence[str]) -> float:
        """Return texts per second."""
        part = texts[: self.max_texts]
        start = time.monotonic()
        self.score(part)
        return len(part) / (time.monotonic() - start)


def _add_arguments(parser: ArgumentParser) -> None:
    add_text_arguments(parser, count=128, seed=SEED)
    parser.add_argument("--stock", type=int, default=8, help="of them for the stock pipeline (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cores, help="of every contender (%(default)s)")


def _run(options: Namespace, _log: Log) -> Report:
    print("making the model and loading it into each engine", flush=True)
    pack = int8_pack()
    with TemporaryDirectory() as workshop, _contenders(options, pack, Path(workshop)) as (contenders, stock):
        figures = _measure(options, contenders) | {"stock_versions": stock.versions}
    figures |= {"pack": f"{pack.id} {pack.revision}", "threads": options.threads}
    return Report(figures, _summary(figures), all(figures["holds"].values()))


@contextmanager
def _contenders(
    options: Namespace, pack: Pack, workshop: Path
) -> Iterator[tuple[list[Contender], StockPipeline]]:
    """Load all contenders; the stock pipeline is the last of them."""
    exact = exact_pack(base_checkpoint(), workshop / "fp32")
    threads, log = options.threads, workshop / "stock.log"
    ours = [
        Contender(name, _classifier(each, engine, threads).classify, options.count)
        for name, each, engine in (
            (_INT8, pack, "openvino"),
            (_FP32, exact, "openvino"),
            (_TORCH, exact, "torch"),
        )
    ]
    with StockPipeline(base_checkpoint(), max_tokens=pack.max_tokens, threads=threads, log=log) as stock:
        yield [*ours, Contender(_STOCK, stock.scores, min(options.stock, options.count))], stock


def _classifier(pack: Pack, engine: str, threads: int) -> Classifier:
    """Return a worker's classifier: the same sorted batches whatever the engine."""
    built = build_engine(pack, engine, device="cpu", threads=threads)
    return Classifier(pack, built, batch_tokens=built.batch_tokens)


def _measure(options: Namespace, contenders: Sequence[Contender]) -> dict[str, Any]:
    # The warm-up round meets every tensor shape, which is not to be measured.
    _round(options, contenders, 0)
    rounds = [_round(options, contenders, number) for number in range(1, options.rounds + 1)]
    ratios = {
        name: spread([rates[_INT8] / rates[name] for rates in rounds]) for name in (_FP32, _TORCH, _STOCK)
    }
    return {
        **machine(_PACKAGES),
        "texts": texts_name(options),
        "text_chars": statistics_of(texts_of_round(options, options.rounds)),
        "texts_per_second": {
            each.name: spread([rates[each.name] for rates in rounds]) for each in contenders
        },
        "int8_against": ratios,
        "holds": {name: ratios[name]["median"] >= speedup for name, speedup in _MIN_SPEEDUP.items()},
    }


def _round(options: Namespace, contenders: Sequence[Contender], number: int) -> dict[str, float]:
    texts = texts_of_round(options, number)
    rates = {each.name: each.rate(texts) for each in contenders}
    title = f"round {number}" if number else "warm-up"
    print(title, *(f"{name} {rate:.2f}" for name, rate in rates.items()), sep="   ", flush=True)
    return rates


def _summary(figures: dict[str, Any]) -> str:
    lines = [heading(figures), "stock pipeline: " + version_line(figures["stock_versions"])]
    lines += [f"one process of {figures['threads']} threads at a time", ""]
    for name, rate in figures["texts_per_second"].items():
        lines.append(f"{name:16}{rate['median']:8.2f} texts/s  ({rate['min']:.2f} to {rate['max']:.2f})")
    lines.append("")
    for name, ratio in figures["int8_against"].items():
        bound = (
            f", at least {_MIN_SPEEDUP[name]}: {verdict(figures['holds'][name])}"
            if name in _MIN_SPEEDUP
            else ""
        )
        spread_of = f"({ratio['min']:.1f} to {ratio['max']:.1f})"
        lines.append(f"int8 against {name:16}{ratio['median']:6.1f}x  {spread_of}{bound}")
    return "\n" + "\n".join(lines)


PROGRAM = Program(_add_arguments, _run, errors=(StockError,))
