"""Choose texts that are worth labelling, and write them to a CSV for a spreadsheet.

    python -m training.sample texts.csv --pack models/embedded -n 200 -o to-label.csv
    python -m training.sample --job ID --url http://localhost:8000 -n 200 -o to-label.csv

It chooses texts of which the pack is least certain, as many of each predicted label, and unlike each other.
Fill in the column `label`; `python -m training.tune` reads the file then.
"""
# ruff: noqa: T201  talks to a person

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sentiq import Sentiq

from tasks.cells import defused
from tasks.console import replace_unencodable
from tasks.errors import SentiqError
from training.job_texts import job_texts
from training.selection import select
from training.unlabelled import (
    Guessed,
    SourceError,
    T,
    certainties,
    draw,
    file_texts,
    guess,
    own_names,
)
from worker.evaluate.labelled import LABEL, TEXT, read_labelled
from worker.evaluate.spreadsheets import spreadsheet
from worker.packs.pack import load_pack

MAX_COUNT = 10_000
CONSIDERED = 50_000
COLUMNS = (TEXT, LABEL, "predicted", "confidence")
_DIGITS = 4
_RETRY_FOR_S = 5  # a person waits


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python -m training.sample",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", type=Path, nargs="?", help="a CSV with the column text, or .txt with a text a line; .gz too"
    )
    parser.add_argument(
        "--pack", type=Path, metavar="DIR", help="the pack that guesses the labels of the file"
    )
    parser.add_argument(
        "--job", nargs="+", metavar="ID", help="finished jobs with keep_texts, instead of a file"
    )
    parser.add_argument(
        "--url", default="http://localhost:8000", help="the service of the jobs (default: %(default)s)"
    )
    parser.add_argument("--key", default=os.environ.get("API_KEY"), help="its API key (default: $API_KEY)")
    parser.add_argument(
        "-n", "--count", type=_count, default=200, help="how many texts (default: %(default)s)"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.csv", help="a new file")
    parser.add_argument(
        "--labelled",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE.csv",
        help="leave out the texts of these files",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the draw (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the pack (default: 1)")
    options = parser.parse_args(arguments)
    if (options.file is None) == (options.job is None) or (options.file is None) == bool(options.pack):
        parser.error("expected either FILE with --pack, or --job")
    return options


def _count(text: str) -> int:
    if not 1 <= int(text) <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {MAX_COUNT:,}")
    return int(text)


def candidates(options: argparse.Namespace) -> list[Guessed]:
    """Return the texts to choose from, each with its verdict. Raises SentiqError."""
    known = {defused(text) for path in options.labelled for text in read_labelled(path).texts}
    if options.job:
        with Sentiq(options.url, options.key, retry_for=_RETRY_FOR_S) as client:
            texts = (each for job_id in options.job for each in job_texts(client, job_id))
            return _reported(*draw(texts, CONSIDERED, options.seed, known))
    pack = load_pack(options.pack)
    if pack.input != "text":
        raise SourceError(f"{pack.id}: reads pairs of an aspect and a text, expected a pack that reads texts")
    drawn = _reported(*draw(file_texts(options.file), CONSIDERED, options.seed, known))
    return guess(drawn, pack, options.threads)


def _reported(drawn: list[T], count: int) -> list[T]:
    """Return the drawn texts, and print of how many different ones. Raises SourceError without any."""
    if not drawn:
        raise SourceError("no text without a label")
    print(f"{count:,} different texts without a label; {len(drawn):,} are considered", file=sys.stderr)
    return drawn


def sample(options: argparse.Namespace) -> None:
    """Write the chosen texts. Raises SentiqError, or OSError if the file is not written."""
    if options.out.exists():
        raise SourceError(f"{options.out}: exists and may hold labels; name a new file")
    with spreadsheet(options.out) as write:
        texts = candidates(options)
        labels, certain = [each.label for each in texts], certainties(texts)
        places = select([each.text for each in texts], labels, certain, options.count)
        chosen = [texts[place] for place in places]
        own = own_names(dict.fromkeys(name for each in chosen for name in each.own), COLUMNS)
        write([*COLUMNS, *own.values()])
        for each in chosen:
            cells = (each.own.get(name) for name in own)
            write([each.text, "", each.label, round(each.confidence, _DIGITS), *cells])
    for name, written in own.items():
        if written != name:
            print(f"{options.out}: your column {name} is {written} there", file=sys.stderr)
    counts = ", ".join(f"{count} {label}" for label, count in Counter(each.label for each in chosen).items())
    print(f"{options.out}: {len(chosen)} texts ({counts}); fill in the column {LABEL}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Choose the texts. Return the exit code: 1 when they cannot be read or written, 130 on Ctrl-C."""
    replace_unencodable()
    try:
        sample(parse(arguments))
    except KeyboardInterrupt:
        return 130
    except (SentiqError, OSError) as error:
        print(f"training.sample: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
