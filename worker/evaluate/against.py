"""Compare the runs of two packs on the same texts: true labels that both have, differences, and flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.evaluate.labelled import LABEL, LabelledFileError, LabelledTexts
from worker.evaluate.measures import rounded
from worker.evaluate.paired import Difference, Paired, compare
from worker.evaluate.runs import Run, masks
from worker.evaluate.spreadsheets import WriteRow
from worker.packs.pack import Pack

_FLIPS = ("label", "domain", "verdict_a", "verdict_b", "confidence_a", "confidence_b", "change")


def true_labels(labelled: LabelledTexts, packs: Sequence[Pack]) -> Sequence[str]:
    """Return the id of each text's label, which every pack has. Raises LabelledFileError.

    A number may stand for another label in each pack, and is refused then.
    """
    readings = [_reading(labelled, pack) for pack in packs]
    for row, *given in zip(labelled.rows, *readings, strict=True):
        if len({*given}) > 1:
            meanings = ", ".join(f"{label} of {pack.id}" for label, pack in zip(given, packs, strict=True))
            where = f"{labelled.path}: line {row.line}, column {LABEL}"
            raise LabelledFileError(f"{where}: {row.label[:40]!r} is {meanings}; write names")
    return readings[0]


def _reading(labelled: LabelledTexts, pack: Pack) -> list[str]:
    """Return the ids of the labels as one pack reads them."""
    try:
        return [pack.labels.ids[number] for number in labelled.numbers(pack.labels)]
    except LabelledFileError as error:
        raise LabelledFileError(f"{error} (pack {pack.id})") from error


def difference(first: Run, second: Run, seed: int) -> dict[str, Any]:
    """Return the differences, first minus second, of all texts and of each domain, ready for JSON.

    Labels are compared by their ids; macro F1 is the mean over the labels of both packs.
    """
    ids = list(dict.fromkeys([*first.pack.labels.ids, *second.pack.labels.ids]))
    places = [np.array([ids.index(label) for label in run.pack.labels.ids]) for run in (first, second)]
    true, one = places[0][first.scored.true], places[0][first.scored.predicted]
    other = places[1][second.scored.predicted]

    def part(inside: NDArray[np.bool_]) -> dict[str, Any]:
        return _described(compare(true[inside], one[inside], other[inside], len(ids), seed=seed))

    parts = {name: part(inside) for name, inside in masks(first.labelled).items()}
    return {"labels": ids} | part(np.ones(len(true), np.bool_)) | ({"domains": parts} if parts else {})


def _described(paired: Paired) -> dict[str, Any]:
    def interval(given: Difference) -> dict[str, float]:
        return {name: rounded(value) for name, value in asdict(given).items()}

    return {
        "accuracy": interval(paired.accuracy),
        "macro_f1": interval(paired.macro_f1),
        "fixed": paired.fixed,
        "broken": paired.broken,
        "p_value": float(f"{paired.p_value:.3g}"),
    }


def write_flips(first: Run, second: Run, true: Sequence[str], write: WriteRow) -> None:
    """Write the texts to which the packs give other labels, below a header.

    `change` is `fixed` where only the first is right, `broken` where only the second is, else `neither`.
    """
    pairs = first.labelled.rows[0].aspect is not None
    write(["text", *(["aspect"] if pairs else []), *_FLIPS])
    runs = [(run.pack.labels.ids, run.scored.predicted, run.scored.confidence) for run in (first, second)]
    for place, (row, label) in enumerate(zip(first.labelled.rows, true, strict=True)):
        one, other = (ids[given[place]] for ids, given, _ in runs)
        if one != other:
            change = {one: "fixed", other: "broken"}.get(label, "neither")
            confidences = [rounded(confidence[place]) for _, _, confidence in runs]
            read = [row.text, *([row.aspect] if pairs else [])]
            write([*read, label, row.domain, one, other, *confidences, change])
