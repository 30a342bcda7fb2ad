"""Measure a pack on labelled texts with the classifier that workers run, and print the measures as JSON.

python -m worker.evaluate --pack DIR FILE.csv[.gz]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from worker.engines.factory import build_engine
from worker.evaluate.classify import as_question, classify
from worker.evaluate.labelled import LabelledTexts, read_labelled
from worker.evaluate.measures import Scored, measure
from worker.evaluate.plot import draw, require_matplotlib
from worker.packs.pack import Pack, load_pack
from worker.scoring.classifier import Classifier


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE.csv[.gz]", help="columns text,label, for pairs also aspect"
    )
    parser.add_argument("--pack", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--by", metavar="COLUMN", help="column to group by (default: source or domain, if present)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="plot confusion matrix and reliability")
    parser.add_argument("--engine", choices=["openvino", "torch"], default="openvino")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Return the measures of a pack on a file. Raises SentiqError, or OSError if the plot is not saved."""
    if options.plot:
        require_matplotlib()
    labelled = read_labelled(options.file, options.by)
    pack = load_pack(options.pack)
    true = labelled.numbers(pack.labels)
    engine = build_engine(pack, options.engine, device=options.device, threads=options.threads)
    classifier = Classifier(pack, engine, batch_tokens=engine.batch_tokens)
    started = time.monotonic()
    verdicts = classify(classifier, list(map(as_question, labelled.inputs(pack.input))))
    seconds = time.monotonic() - started
    scored = Scored.of(verdicts, pack.labels, true)
    if options.plot:
        draw(scored, f"{pack.id} {pack.revision} on {options.file.name}", options.plot)
    return _describe(pack, options) | measure(scored) | {"seconds": round(seconds, 2)} | _by(scored, labelled)


def _describe(pack: Pack, options: argparse.Namespace) -> dict[str, Any]:
    described = {"pack": pack.id, "revision": pack.revision, "precision": pack.precision}
    return described | {"engine": options.engine, "device": options.device, "file": options.file.name}


def _by(scored: Scored, labelled: LabelledTexts) -> dict[str, Any]:
    """Return the measures of each domain, by name; empty without a domain column."""
    if labelled.by is None:
        return {}
    domains = np.array(labelled.domains)
    parts = {name: measure(scored.where(domains == name)) for name in sorted(set(labelled.domains))}
    return {"by": labelled.by, "domains": parts}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the measures. Return the exit code: 1 when the file or the pack cannot be used."""
    replace_unencodable()
    try:
        measures = evaluate(parse(arguments))
    except (SentiqError, OSError) as error:
        print(f"worker.evaluate: {error}", file=sys.stderr)
        return 1
    print(json.dumps(measures, ensure_ascii=False, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
