r"""Write the card of an embedded pack, `CARD.md`: what it is, how good it is, and how it was made.

    python -m training.card models/embedded --train train.csv.gz --dev dev.csv.gz --unlabelled lines.txt.gz \
        --joint DIR --measured samples/plain.csv training/texts/written-test.csv DIR/two-judged.csv

The pack is measured on each file of `--measured`, CSV with `text,label` and perhaps `domain` and `kind`, and
on that of `--dev`.
`--joint` is what `--out` of training.joint was; its options are read from there, and texts are counted in the
files. The words are those of `training/cards/`.
"""
# ruff: noqa: T201  talks to a person

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from bench.report import machine
from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from training.card_facts import read_facts, read_training
from training.card_figures import groups_tables, measure_file, overview, table, weak
from training.written import FILE
from worker.packing.card import MIB, facts, measures
from worker.packs.pack import Pack, load_pack

TEMPLATE = Path(__file__).with_name("cards") / "card.md"
CARD = "CARD.md"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pack", type=Path, metavar="DIR")
    for name in ("train", "dev", "unlabelled"):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE")
    parser.add_argument("--written", type=Path, default=FILE, help="default: the texts that ship with it")
    parser.add_argument("--joint", type=Path, required=True, metavar="DIR")
    parser.add_argument("--measured", type=Path, nargs="+", required=True, metavar="FILE.csv[.gz]")
    return parser.parse_args(arguments)


def card(options: argparse.Namespace) -> str:
    """Return the card. Raises SentiqError, or OSError if a file cannot be read."""
    pack = load_pack(options.pack)
    name = pack.directory.resolve().name
    files = {**{path.name.partition(".")[0]: path for path in options.measured}, "dev": options.dev}
    named, meanings = read_facts(name, files)
    training = read_training(options, pack.path("vocab.txt"))
    figures = []
    for file, path in files.items():
        print(f"measuring {path.name}", file=sys.stderr)
        figures.append(measure_file(pack, file, path))
    measured = {
        "overview": overview(figures, meanings), "tables": groups_tables(figures), "weak": weak(figures),
    }  # fmt: skip
    values = {**_described(pack, name), **named, **training, **measured, **_machine()}
    return Template(TEMPLATE.read_text("utf-8")).substitute(values)


def _described(pack: Pack, name: str) -> Mapping[str, str]:
    """Return the values of the pack that is in the folder `name`."""
    size = sum(pack.path(file).stat().st_size for file in pack.files)
    rows = [*facts(pack), *measures(pack), ("size of all files", f"{size / MIB:.1f} MiB")]
    described = {"id": pack.id, "revision": pack.revision, "max_tokens": str(pack.max_tokens)}
    return {**described, "folder": f"models/{name}", "table": table(("", ""), rows, "---")}


def _machine() -> Mapping[str, str]:
    described = machine(["openvino"])
    return {"processor": described["processor"], "openvino": described["versions"]["openvino"]}


def write(pack: Path, text: str) -> None:
    """Write the card of a pack, whole or not at all."""
    partial = pack / f".{CARD}"
    try:
        partial.write_text(text, "utf-8")
        partial.replace(pack / CARD)
    finally:
        partial.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the card. Return the exit code: 1 when a file cannot be used, 130 on Ctrl-C."""
    replace_unencodable()
    options = parse(arguments)
    try:
        write(options.pack, card(options))
    except KeyboardInterrupt:
        return 130
    except (SentiqError, OSError) as error:
        print(f"training.card: {error}", file=sys.stderr)
        return 1
    print(options.pack / CARD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
