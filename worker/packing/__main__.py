"""`python -m worker.packing make|verify|show`: make a pack from a checkpoint, check a pack, or show it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from tasks.log_format import start_logging
from worker.evaluate.labelled import read_labelled
from worker.packing.card import card
from worker.packing.origin import Origin, find_origin, pack_revision
from worker.packing.verify import check_graph, with_reference
from worker.packs.pack import Pack, PackError, load_pack

CALIBRATION_TEXTS = Path(__file__).parents[2] / "samples" / "calibration.txt"
INTERRUPTED = 130


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
    _prepare_terminal()
    # Imported here: torch and NNCF are installed only where packs are made.
    try:
        from worker.packing.make import Recipe, make_pack  # noqa: PLC0415
        from worker.packs.reference import Reference  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"making a pack needs {error.name}: make .venv/.models") from error
    origin = find_origin(options.source, options.revision)
    recipe = Recipe(
        source=origin.directory or _download(origin),
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

    def raise_if_stopped() -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    print(f"\n{card(make_pack(recipe, raise_if_stopped))}")


def _download(origin: Origin) -> Path:
    from worker.packing.modelscope import download  # noqa: PLC0415

    logging.getLogger(__name__).info("downloading %s at %s from ModelScope", origin.id, origin.revision)
    return download(origin.id, origin.revision)


def _prepare_terminal() -> None:
    """Log each step as a line on standard error, and show progress bars only on a terminal."""
    start_logging("warning", "%(message)s")
    logging.getLogger("worker.packing").setLevel(logging.INFO)
    quiet = not sys.stderr.isatty()
    if quiet:
        os.environ["TQDM_DISABLE"] = "1"  # for ModelScope; read when tqdm is imported
    try:
        import nncf  # noqa: PLC0415
        import rich  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"making a pack needs {error.name}: make .venv/.models") from error
    nncf.set_log_level(logging.WARNING)
    rich.reconfigure(stderr=True, quiet=quiet)


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

    The last line on standard error then names the cause. `stopped` is set by a signal; see `run`.
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


def run() -> int:
    """Run `main` so that SIGINT and SIGTERM unwind it and leave no partial pack.

    An event records the signal, because OpenVINO's converter may replace or swallow the KeyboardInterrupt.
    """
    replace_unencodable()
    stopped = Event()

    def stop(*_: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        return main(stopped=stopped)
    except Exception:
        if not stopped.is_set():
            raise
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
