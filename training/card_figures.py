"""The figures of a card: a pack measured on labelled files, by domain and by kind, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from worker.evaluate.against import true_labels
from worker.evaluate.labelled import LABEL, TEXT, read_labelled, read_table
from worker.evaluate.measures import ABOVE, Scored, measure, wilson_interval
from worker.evaluate.runs import Machine, Run, masks
from worker.packs.pack import Pack

KIND = "kind"
FEWEST = 10  # texts of a group; of fewer nothing can be said
NONE = "-"
_GROUP_HEADER = ("texts", "accuracy", f"above {ABOVE}", "of these wrong")


class Group(NamedTuple):
    """The verdicts on texts that have one value in the column `by`."""

    by: str
    name: str
    scored: Scored


@dataclass(frozen=True)
class Figures:
    """The verdicts on a file, how many of its texts the pack has no label for, and the groups."""

    name: str
    left_out: int
    scored: Scored
    groups: Sequence[Group]


def measure_file(pack: Pack, name: str, path: Path) -> Figures:
    """Return what a worker's classifier says of a file, which the card calls `name`. Raises SentiqError."""
    columns, _ = read_table(path, TEXT, LABEL)
    labelled, others = read_labelled(path).shared([pack.labels])
    scored = Run.of(pack, Machine("openvino", "cpu", 1), labelled, true_labels(labelled, [pack])).scored
    groupings = [labelled]
    if KIND in columns:
        groupings.append(read_labelled(path, KIND).shared([pack.labels])[0])
    groups = [
        Group(grouping.by, name, scored.where(inside))
        for grouping in groupings
        if grouping.by
        for name, inside in masks(grouping).items()
        if inside.sum() >= FEWEST
    ]
    return Figures(name, sum(others.values()), scored, groups)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], ruler: str = "---:") -> str:
    """Return a table in Markdown. `ruler` aligns all columns but the first, by default as figures."""
    rulers = ("---", *(ruler for _ in header[1:]))
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rulers, *rows))


def overview(files: Sequence[Figures], meanings: Mapping[str, str]) -> str:
    """Return the table of all files, and what each of them is."""
    ids = files[0].scored.labels.ids
    header = ("file", *_GROUP_HEADER, "calibration error", "macro F1", f"F1 of {', '.join(ids)}")
    rows = [(f"`{each.name}`", *_cells(each.scored), *_calibration_and_f1(each.scored)) for each in files]
    listed = [f"- `{each.name}`: {meanings[each.name]}.{_left_out(each)}" for each in files]
    return "\n".join([table(header, rows), "", *listed])


def groups_tables(files: Iterable[Figures]) -> str:
    """Return a table for each file and column, the groups with the lowest accuracy first."""
    tables = [
        f"### {each.name}, by {by}\n\n{table((by, *_GROUP_HEADER), _group_rows(each, by))}"
        for each in files
        for by in dict.fromkeys(group.by for group in each.groups)
    ]
    return "\n\n".join([*tables, f"Domains and kinds of fewer than {FEWEST} texts are left out."])


def weak(files: Iterable[Figures]) -> str:
    """Return a table of the groups whose accuracy has its interval below that of their file, worst first."""
    pairs = [(each, group) for each in files for group in each.groups]
    found = [pair for pair in pairs if _interval(pair[1].scored)[1] < accuracy(pair[0].scored)]
    if not found:
        return "No domain or kind has an accuracy whose 95 % interval lies below that of its file."
    found.sort(key=lambda pair: accuracy(pair[1].scored))
    header = ("", "file", *_GROUP_HEADER[:2], "accuracy on the file")
    rows = [
        (f"{group.by} {group.name}", each.name, *_cells(group.scored)[:2], f"{accuracy(each.scored):.3f}")
        for each, group in found
    ]
    about = "The accuracy has its 95 % interval below that of the file; one group in forty does so by chance."
    return f"{about}\n\n{table(header, rows)}"


def accuracy(scored: Scored) -> float:
    """Return the share of verdicts that are right."""
    return float((scored.predicted == scored.true).mean())


def _interval(scored: Scored) -> tuple[float, float]:
    return wilson_interval(int((scored.predicted == scored.true).sum()), len(scored.true))


def _group_rows(file: Figures, by: str) -> Iterator[tuple[str, ...]]:
    for group in sorted(file.groups, key=lambda group: accuracy(group.scored)):
        if group.by == by:
            yield group.name, *_cells(group.scored)


def _cells(scored: Scored) -> tuple[str, ...]:
    """Return the cells of _GROUP_HEADER."""
    low, high = _interval(scored)
    confident = measure(scored)["confident"]
    right = f"{accuracy(scored):.3f} ({low:.3f} to {high:.3f})"
    return f"{len(scored.true):,}", right, f"{confident['share']:.1%}", _wrong(confident)


def _wrong(confident: Mapping[str, Any]) -> str:
    if confident["wrong"] is None:
        return NONE
    return f"{confident['wrong']:.1%} ({confident['wrong_low']:.1%} to {confident['wrong_high']:.1%})"


def _calibration_and_f1(scored: Scored) -> tuple[str, str, str]:
    """Return the calibration error and the F1 scores; macro F1 only if the file has texts of every label."""
    measured = measure(scored)
    present = [bool(count) for count in measured["labels"].values()]
    each = [f"{f1:.3f}" if has else NONE for f1, has in zip(measured["f1"].values(), present, strict=True)]
    macro = f"{measured['macro_f1']:.3f}" if all(present) else NONE
    return f"{measured['ece']:.3f}", macro, ", ".join(each)


def _left_out(file: Figures) -> str:
    return f" Left out: {file.left_out} texts whose label the pack lacks." if file.left_out else ""
