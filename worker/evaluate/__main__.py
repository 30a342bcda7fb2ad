"""Measure a pack on labelled texts with the classifier that workers run, and print the measures as JSON.

python -m worker.evaluate --pack DIR FILE.csv[.gz]
python -m worker.evaluate --pack A --against B FILE.csv[.gz] --flips flips.csv
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from worker.evaluate.against import difference, true_labels, write_flips
from worker.evaluate.bounds import add_bounds, broken_bounds
from worker.evaluate.labelled import read_labelled
from worker.evaluate.plot import draw, require_matplotlib
from worker.evaluate.runs import Machine, Run
from worker.evaluate.spreadsheets import spreadsheet
from worker.packs.pack import load_pack

BROKEN = 3
EXIT_CODES = f"""exit codes:
  0  measured
  1  the file or a pack cannot be used
  2  the command line is wrong
  {BROKEN}  measured, and a figure is outside of its bound
"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.evaluate",
        description=__doc__,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=Path, metavar="FILE.csv[.gz]", help="columns text,label, for pairs also aspect"
    )
    parser.add_argument("--pack", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--by", metavar="COLUMN", help="column to group by (default: domain or source, if present)"
    )
    parser.add_argument(
        "--other-labels",
        choices=["refuse", "leave-out"],
        default="refuse",
        help="what to do with rows whose label a pack lacks (default: refuse)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="plot confusion matrix and reliability")
    parser.add_argument("--engine", choices=["openvino", "torch"], default="openvino")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    _add_comparison(parser)
    add_bounds(parser, BROKEN)
    options = parser.parse_args(arguments)
    if options.flips and not options.against:
        parser.error("--flips needs --against")
    for path in filter(None, (options.flips, options.plot)):
        _require_apart(parser, path, [options.file, options.pack, *filter(None, [options.against])])
    return options


def _require_apart(parser: argparse.ArgumentParser, output: Path, inputs: Iterable[Path]) -> None:
    """End with an error if a file to write is one to read, or in a folder to read."""
    for path in inputs:
        if output.resolve().is_relative_to(path.resolve()):
            parser.error(f"{output} would replace what is read from {path}; name another file")


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="compare with this pack on the same texts"
    )
    parser.add_argument(
        "--flips",
        type=Path,
        metavar="FILE.csv",
        help="write the texts whose labels differ, for a spreadsheet",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the bootstrap (default: 1)")


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Return the report of a pack on a file. Raises SentiqError, or OSError if a file is not written."""
    if options.plot:
        require_matplotlib()
    labelled = read_labelled(options.file, options.by)
    packs = [load_pack(folder) for folder in (options.pack, options.against) if folder]
    others: dict[str, Any] = {}
    if options.other_labels == "leave-out":
        labelled, others["left_out"] = labelled.shared([pack.labels for pack in packs])
    true = true_labels(labelled, packs)
    machine = Machine(options.engine, options.device, options.threads)
    with spreadsheet(options.flips) if options.flips else contextlib.nullcontext() as write:
        runs = [Run.of(pack, machine, labelled, true) for pack in packs]
        if write:
            write_flips(runs[0], runs[1], true, write)
    first = runs[0]
    if options.plot:
        draw(first.scored, f"{first.pack.id} {first.pack.revision} on {options.file.name}", options.plot)
    report = first.report() | others
    for other in runs[1:]:
        report |= {"against": other.report(), "difference": difference(first, other, options.seed)}
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report. Return the exit code, see EXIT_CODES."""
    replace_unencodable()
    options = parse(arguments)
    try:
        report = evaluate(options)
    except (SentiqError, OSError) as error:
        print(f"worker.evaluate: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, ensure_ascii=False, indent=2))
    broken = list(broken_bounds(report, options))
    for sentence in broken:
        print(f"worker.evaluate: {sentence}", file=sys.stderr)
    return BROKEN if broken else 0


if __name__ == "__main__":
    sys.exit(main())
