"""The summary at the end of a run: rows by label, as a bar chart for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from sentiq.tables.table import Row, Verdict

_MAX_GROUPS = 1000
_SHOWN_GROUPS = 20
_MAX_GROUP_CHARS = 128
_BAR_WIDTH = 30
_NAME_WIDTH = 24
_COLORS = {"positive": "green", "negative": "red", "neutral": "yellow"}


@dataclass
class Tally:
    """Rows counted: with a label, empty, and with an error."""

    rows: int = 0
    empty: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    score_sum: float = 0.0
    scores: int = 0

    def add(self, verdict: Verdict) -> None:
        """Count a row."""
        self.rows += 1
        if verdict.error:
            self.errors[verdict.error] += 1
        elif verdict.label is None:
            self.empty += 1
        else:
            self.labels[verdict.label] += 1
        if verdict.score is not None:
            self.score_sum += verdict.score
            self.scores += 1

    @property
    def mean_score(self) -> float | None:
        """Return the mean score, None without one."""
        return round(self.score_sum / self.scores, 6) if self.scores else None

    def body(self) -> dict[str, Any]:
        """Return the counts for a program."""
        labelled = self.labels.total()
        labels = [
            {"label": label, "rows": count, "share": round(count / labelled, 6)}
            for label, count in sorted(self.labels.items())
        ]
        return {
            "rows": self.rows,
            "scored": labelled,
            "empty": self.empty,
            "failed": self.errors.total(),
            "labels": labels,
            "mean_score": self.mean_score,
            "error_codes": dict(sorted(self.errors.items())),
        }


class Summary:
    """All rows, and those of each value of a column: the first 1,000 values, the others together."""

    def __init__(self, by: str | None) -> None:
        self.all = Tally()
        self._by = by
        self._groups: dict[str, Tally] = {}
        self._other = Tally()

    def add(self, row: Row, verdict: Verdict) -> None:
        """Count a row."""
        self.all.add(verdict)
        if self._by is None:
            return
        value = (row.group or "")[:_MAX_GROUP_CHARS]
        if value not in self._groups and len(self._groups) < _MAX_GROUPS:
            self._groups[value] = Tally()
        self._groups.get(value, self._other).add(verdict)

    def body(self) -> dict[str, Any]:
        """Return the summary for a program."""
        body = self.all.body()
        if self._by is not None:
            body["by"] = self._by
            body["groups"] = [{"value": value} | tally.body() for value, tally in self._groups.items()]
            body["other"] = self._other.body() if self._other.rows else None
        return body

    def show(self, console: Console, about: Mapping[str, str]) -> None:
        """Print the summary for a person, with facts on the run below it."""
        console.print(_chart(self.all))
        if self._by is not None:
            console.print(self._table(self._by))
        for name, value in about.items():
            console.print(Text(f"{name:<10}{value}"), soft_wrap=True)

    def _table(self, by: str) -> RichTable:
        labels = sorted(self.all.labels)
        table = RichTable(box=None, pad_edge=False)
        table.add_column(Text(by), no_wrap=True, max_width=_NAME_WIDTH, overflow="ellipsis")
        for name in ("rows", *labels, "mean score", "errors"):
            table.add_column(Text(name), justify="right", no_wrap=True)
        largest = sorted(self._groups.items(), key=lambda each: -each[1].rows)
        rest = largest[_SHOWN_GROUPS:] + ([("", self._other)] if self._other.rows else [])
        for value, tally in largest[:_SHOWN_GROUPS]:
            table.add_row(*_cells(Text(_printable(value) or "(empty)"), labels, tally))
        if rest:
            table.add_row(Text(f"({len(rest)} more)"), str(sum(tally.rows for _, tally in rest)))
        return table


def _cells(name: Text, labels: list[str], tally: Tally) -> list[Text]:
    labelled = tally.labels.total() or 1
    shares = [f"{tally.labels[label] / labelled:.0%}" for label in labels]
    mean = "" if tally.mean_score is None else f"{tally.mean_score:+.2f}"
    return [name, *map(Text, (f"{tally.rows:,}", *shares, mean, str(tally.errors.total() or "")))]


def _chart(tally: Tally) -> RichTable:
    """Return a bar for each label, for empty rows and for each error."""
    table = RichTable(box=None, pad_edge=False, show_header=False)
    rows = tally.rows or 1
    lines = [(label, count, _COLORS.get(label, "cyan")) for label, count in tally.labels.most_common()]
    lines += [("(empty)", tally.empty, "white")] if tally.empty else []
    lines += [(code, count, "magenta") for code, count in tally.errors.most_common()]
    for name, count, color in lines:
        bar = "█" * round(_BAR_WIDTH * count / rows) or "▏"
        shown = Text(_printable(name)[:_NAME_WIDTH])
        table.add_row(
            shown, Text(bar, style=color), Text(f"{count:,}", justify="right"), f"{count / rows:.1%}"
        )
    return table


def _printable(text: str) -> str:
    """Return the text without what a terminal would obey."""
    return "".join(each if each.isprintable() else "�" for each in text)
