"""`python -m worker.packing make|verify|show`: make a pack from a checkpoint, check one, or look at one."""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event

from tasks.errors import SentiqError
from worker.packing.card import card
from worker.packing.origin import Origin, find_origin
from worker.packing.verify import check_graph, with_reference
from worker.packs.pack import Pack, PackError, load_pack

CALIBRATION_TEXTS = Path(__file__).parents[2] / "samples" / "calibration.txt"
INTERRUPTED = 130

# OpenVINO's converter makes an error of its own out of an interrupt, or goes on without a word.
_stopped = Event()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m worker.packing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser(
        "make", help="StructBERT-layout checkpoint to a pack (needs: make .venv/.models)"
    )
    make.add_argument("--source", required=True, help="a directory, or a ModelScope id (owner/name)")
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--id", help="default: the ModelScope id, or the directory's name")
    make.add_argument("--revision", help="default: master, or digits that change with the directory's files")
    make.add_argument("--max-tokens", type=int, default=512)
    make.add_argument("--labelled", type=Path, help="CSV (text,label) to measure and to calibrate on")
    make.add_argument("--reference", choices=["exact", "compact", "none"], default="exact",
                      help="how to keep the weights of the torch engine")  # fmt: skip
    verify = commands.add_parser(
        "verify", help="check every file, and the graph against the reference weights"
    )
    for command in (make, verify):
        command.add_argument("--calibration", type=Path, default=CALIBRATION_TEXTS, help="texts, one a line")
        command.add_argument("--min-agreement", type=float, default=0.99, help="least share of equal labels")
    verify.add_argument("--source", type=Path, help="the checkpoint, for a pack without reference weights")
    show = commands.add_parser("show", help="print what a pack is")
    show.add_argument("--json", action="store_true", help="as pack.json has it")
    for command in (verify, show):
        command.add_argument("pack", type=Path)
    return parser.parse_args(arguments)


def make(options: argparse.Namespace) -> None:
    """Make the pack that the command line describes, and print its card."""
    _prepare_terminal()
    # Imported here because torch and nncf are installed only where packs are made.
    try:
        from worker.evaluate.labelled import read_labelled  # noqa: PLC0415
        from worker.packing.make import Recipe, make_pack  # noqa: PLC0415
        from worker.packs.reference import Reference  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"making a pack needs {error.name}: make .venv/.models") from error
    origin = find_origin(options.source, options.revision)
    recipe = Recipe(
        source=origin.directory or _download(origin),
        out=options.out,
        id=options.id or origin.id,
        revision=origin.revision,
        calibration=options.calibration.read_text("utf-8").splitlines(),
        labelled=list(zip(*read_labelled(options.labelled), strict=True)) if options.labelled else (),
        max_tokens=options.max_tokens,
        min_agreement=options.min_agreement,
        reference=Reference(options.reference),
    )
    print(f"\n{card(make_pack(recipe, _go_on_unless_stopped))}")


def _download(origin: Origin) -> Path:
    from worker.packing.hub import download  # noqa: PLC0415

    logging.getLogger(__name__).info("fetching %s at %s from ModelScope", origin.id, origin.revision)
    return download(origin.id, origin.revision)


def _go_on_unless_stopped() -> None:
    if _stopped.is_set():
        raise KeyboardInterrupt


def _prepare_terminal() -> None:
    """Steps as lines; progress bars on a terminal only, on the side of the errors."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("worker.packing").setLevel(logging.INFO)
    quiet = not sys.stderr.isatty()
    if quiet:
        os.environ["TQDM_DISABLE"] = "1"  # ModelScope's, read when tqdm is imported
    try:
        import nncf  # noqa: PLC0415
        import rich  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"making a pack needs {error.name}: make .venv/.models") from error
    nncf.set_log_level(logging.WARNING)
    rich.reconfigure(stderr=True, quiet=quiet)


def verify(pack: Pack, options: argparse.Namespace) -> None:
    """Check the graph; the files were checked when the pack was loaded."""
    print(f"{pack.id} {pack.revision}: {len(pack.files)} files as made")
    texts = options.calibration.read_text("utf-8").splitlines()
    with with_reference(pack, options.source) as compared:
        for line in check_graph(compared, texts, options.min_agreement):
            print(line)


def show(pack: Pack, options: argparse.Namespace) -> None:
    """Print the card."""
    fields = asdict(pack) | {"directory": str(pack.directory)}
    print(json.dumps(fields, ensure_ascii=False, indent=2) if options.json else card(pack))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 means that the pack or its source cannot be used, and the last line says why."""
    options = parse(arguments)
    try:
        if options.command == "make":
            make(options)
        else:
            {"verify": verify, "show": show}[options.command](load_pack(options.pack), options)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (SentiqError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run() -> int:
    """Run `main`; whoever stops this program finds no half-made pack: both signals unwind it."""

    def stop(*_: object) -> None:
        _stopped.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        return main()
    except Exception:
        if not _stopped.is_set():
            raise
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(run())
