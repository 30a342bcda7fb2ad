"""Texts without labels: read them from files, draw some, and let a pack guess their labels."""

from __future__ import annotations

import random
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.cells import defused
from tasks.errors import SentiqError
from worker.engines.factory import build_engine
from worker.evaluate.classify import as_question, classify
from worker.evaluate.labelled import LABEL, TEXT, LabelledFileError, read_lines, read_table
from worker.packs.pack import Pack
from worker.scoring.classifier import Classifier


class SourceError(SentiqError):
    """There are no texts to choose from. The message names the file or the job, and the cause."""

    code = "no_texts"


class Unlabelled(NamedTuple):
    """A text and the caller's own columns."""

    text: str
    own: Mapping[str, object]


class Guessed(NamedTuple):
    """A text with the verdict on it.

    The margin is the highest probability minus the next one, None if the verdict names no probabilities.
    """

    text: str
    own: Mapping[str, object]
    label: str
    confidence: float
    margin: float | None


T = TypeVar("T", Unlabelled, Guessed)


def own_names(names: Collection[str], reserved: Container[str]) -> dict[str, str]:
    """Return a name for each column of the caller: a reserved one gets `own_` before it, so none is lost."""
    found = {}
    for name in names:
        free = name
        while free in reserved or (free != name and free in names):
            free = f"own_{free}"
        found[name] = free
    return found


def file_texts(path: Path) -> Iterator[Unlabelled]:
    """Yield the texts of a CSV with the column `text`, or of a file with a text a line, gzipped or not.

    A row with a `label` is left out. Raises LabelledFileError.
    """
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "txt":
        yield from (Unlabelled(line.rstrip("\r\n"), {}) for line in read_lines(path))
    elif kind == "csv":
        _, rows = read_table(path, TEXT)
        for _, row in rows:
            if not row.pop(LABEL, "").strip():
                yield Unlabelled(row.pop(TEXT), row)
    else:
        raise LabelledFileError(f"{path}: expected a name that ends in .csv, .csv.gz, .txt or .txt.gz")


def draw(texts: Iterable[T], size: int, seed: int, known: Container[str]) -> tuple[list[T], int]:
    """Return up to `size` different texts at random, and how many different ones there were to draw from.

    Blank texts do not count, nor those whose cell in a spreadsheet is `known`. The draw is a reservoir
    (https://en.wikipedia.org/wiki/Reservoir_sampling, algorithm R), so of all texts only hashes are held.
    """
    chance = random.Random(seed)  # noqa: S311  seeded, no secret
    drawn: list[T] = []
    seen: set[int] = set()
    for each in texts:
        # A copy that took part would make its text more probable, and the draw smaller.
        if not each.text.strip() or defused(each.text) in known or (key := hash(each.text)) in seen:
            continue
        seen.add(key)
        if len(drawn) < size:
            drawn.append(each)
        elif (place := chance.randrange(len(seen))) < size:
            drawn[place] = each
    return drawn, len(seen)


def guess(texts: Sequence[Unlabelled], pack: Pack, threads: int) -> list[Guessed]:
    """Return the texts with the verdicts of a pack that reads texts. Raises SentiqError."""
    engine = build_engine(pack, "openvino", device="cpu", threads=threads)
    classifier = Classifier(pack, engine, batch_tokens=engine.batch_tokens)
    verdicts = classify(classifier, [as_question(each.text) for each in texts])
    return [
        Guessed(*each, verdict.label, verdict.confidence, margin(verdict.kept.values()))
        for each, verdict in zip(texts, verdicts, strict=True)
    ]


def margin(probabilities: Iterable[float]) -> float:
    """Return the highest probability minus the next one, of two or more."""
    second, first = sorted(probabilities)[-2:]
    return first - second


def certainties(texts: Sequence[Guessed]) -> NDArray[np.float64]:
    """Return how certain each verdict is (n,): all by their margins, or by confidence if one has no margin.

    Of three labels or more a confidence says nothing about the next probability, so the two do not mix.
    """
    margins = [each.margin for each in texts]
    return np.array([each.confidence for each in texts] if None in margins else margins, np.float64)
