"""`python -m worker.packing make|verify|show`: make a pack from a checkpoint, check a pack, or show it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from tasks.errors import SentiqError
from worker.evaluate.labelled import read_labelled
from worker.packing.card import card
from worker.packing.fetch import fetch
from worker.packing.origin import find_origin, pack_revision
from worker.packing.terminal import INTERRUPTED, prepare_terminal, raise_if, run_interruptible
from worker.packing.verify import check_graph, with_reference
from worker.packs.pack import Pack, PackError, load_pack

CALIBRATION_TEXTS = Path(__file__).parents[2] / "samples" / "calibration.txt"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m worker.packing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser(
        "make", help="make a pack from a StructBERT-layout checkpoint (needs: make .venv/.models)"
    )
    make.add_argument("--source", required=True, help="a directory, or a ModelScope id (owner/name)")
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--id", help="default: the ModelScope id, or the directory's name")
    make.add_argument("--revision", help="default: master; for a directory, a hash of its files")
    make.add_argument("--max-tokens", type=int, default=512)
    make.add_argument("--labels", type=Path, metavar="FILE",
                      help="JSON list of labels as in pack.json; 8 digits of the revision change with it; "
                           "default: read from the source")  # fmt: skip
    make.add_argument("--input", choices=["text", "pair"], help="default: read from the source, else text")
    make.add_argument("--labelled", type=Path, help="CSV (text,label) to measure and calibrate on")
    make.add_argument("--training-texts", type=Path, nargs="+", default=(), metavar="FILE",
                      help="files of texts that the model has learned from: CSV (text,label), else one "
                           "a line; verdicts then say whether a text is unfamiliar")  # fmt: skip
    make.add_argument("--reference", choices=["exact", "compact", "none"], default="exact",
                      help="how to store the weights of the torch engine")  # fmt: skip
    verify = commands.add_parser(
        "verify", help="check every file, and the graph against the reference weights"
    )
    for command in (make, verify):
        command.add_argument("--calibration", type=Path, default=CALIBRATION_TEXTS,
                             help="file of texts, one a line; of pairs with a tab between")  # fmt: skip
        command.add_argument(
            "--min-agreement", type=float, default=0.99, help="required share of equal labels"
        )
    verify.add_argument("--source", type=Path, help="checkpoint of a pack without reference weights")
    show = commands.add_parser("show", help="print the card of a pack")
    show.add_argument("--json", action="store_true", help="print pack.json instead")
    for command in (verify, show):
        command.add_argument("pack", type=Path)
    return parser.parse_args(arguments)


def make(options: argparse.Namespace, stopped: Event) -> None:
    """Make a pack and print its card. Raises KeyboardInterrupt after a step if `stopped` is set."""
    prepare_terminal()
    # Imported here: torch and NNCF are installed only where packs are made.
    try:
        from worker.packing.make import Recipe, make_pack  # noqa: PLC0415
        from worker.packs.reference import Reference  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"making a pack needs {error.name}: make .venv/.models") from error
    origin = find_origin(options.source, options.revision)
    recipe = Recipe(
        source=fetch(origin),
        out=options.out,
        id=options.id or origin.id,
        revision=pack_revision(origin, options.labels),
        calibration=options.calibration.read_text("utf-8").splitlines(),
        labelled=read_labelled(options.labelled) if options.labelled else None,
        training_texts=options.training_texts,
        labels=options.labels,
        input=options.input,
        max_tokens=options.max_tokens,
        min_agreement=options.min_agreement,
        reference=Reference(options.reference),
    )
    print(f"\n{card(make_pack(recipe, lambda: raise_if(stopped)))}")


def verify(pack: Pack, options: argparse.Namespace) -> None:
    """Check the graph and print the results. `load_pack` has checked the files."""
    print(f"{pack.id} {pack.revision}: {len(pack.files)} files unchanged")
    lines = options.calibration.read_text("utf-8").splitlines()
    with with_reference(pack, options.source) as compared:
        for line in check_graph(compared, lines, options.min_agreement):
            print(line)


def show(pack: Pack, options: argparse.Namespace) -> None:
    """Print the card, or with --json the fields of the pack."""
    fields = pack.described() | {"directory": str(pack.directory)}
    print(json.dumps(fields, ensure_ascii=False, indent=2) if options.json else card(pack))


def main(arguments: Sequence[str] | None = None, stopped: Event | None = None) -> int:
    """Run one command. Return the exit code: 1 when the pack or its source cannot be used.

    The last line on standard error then names the cause. `stopped` is set by a signal.
    """
    options = parse(arguments)
    try:
        if options.command == "make":
            make(options, stopped or Event())
        else:
            {"verify": verify, "show": show}[options.command](load_pack(options.pack), options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (SentiqError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_interruptible(lambda stopped: main(stopped=stopped)))
