"""`python -m worker.packs make|verify|show`: make a pack from a checkpoint, or look at one."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from worker.packs import Pack, PackError, load_pack

CALIBRATION_TEXTS = Path(__file__).parents[2] / "models" / "calibration.txt"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m worker.packs", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="StructBERT-layout directory to int8 pack (needs torch and nncf)")
    make.add_argument("--source", type=Path, required=True)
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--id", required=True, help="id of the model the weights come from")
    make.add_argument("--revision", required=True)
    make.add_argument("--max-tokens", type=int, default=512)
    make.add_argument("--calibration", type=Path, default=CALIBRATION_TEXTS, help="texts, one a line")
    make.add_argument("--labelled", type=Path, help="CSV (text,label) to measure the pack on")
    make.add_argument("--no-reference", action="store_true", help="leave out the weights of the torch engine")
    for name, text in {"verify": "check every file against pack.json", "show": "print pack.json"}.items():
        commands.add_parser(name, help=text).add_argument("pack", type=Path)
    return parser.parse_args(arguments)


def make(options: argparse.Namespace) -> Pack:
    """Make the pack that the command line describes."""
    # Imported here because torch and nncf are installed only where packs are made.
    from worker.evaluate import read_labelled  # noqa: PLC0415
    from worker.packs.make import Recipe, make_pack  # noqa: PLC0415

    recipe = Recipe(
        source=options.source,
        out=options.out,
        id=options.id,
        revision=options.revision,
        calibration=options.calibration.read_text("utf-8").splitlines(),
        labelled=list(zip(*read_labelled(options.labelled), strict=True)) if options.labelled else (),
        max_tokens=options.max_tokens,
        reference=not options.no_reference,
    )
    return make_pack(recipe)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 1 means that the pack or its source cannot be used."""
    options = parse(arguments)
    try:
        pack = make(options) if options.command == "make" else load_pack(options.pack)
    except PackError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    if options.command == "verify":
        print(f"{pack.id} {pack.revision}: {len(pack.files)} files as made")  # noqa: T201
    else:
        print(json.dumps(asdict(pack) | {"directory": str(pack.directory)}, ensure_ascii=False, indent=2))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
