"""What every format shares: rows in, rows with verdicts out, and the errors of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from typing_extensions import Self

ADDED = ("label", "confidence", "score", "error")  # to each row
_SHOWN_COLUMNS = 40
_SHOWN_CHARS = 60


class TableError(Exception):
    """A file cannot be read or written as a table; the message says why and what to do."""


class NameClashError(TableError):
    """A column that would be added exists already; the message says how to rename it."""


@dataclass(slots=True)
class Row:
    """A row of a table.

    `cells` are its values in the order of the columns; more than those if the row is too long. `text` is what
    is scored, None if there is nothing to score; `problem` is then the error code, None for an empty cell.
    `group` is the cell of the column that the summary counts by. `origin` is the row as its format keeps it,
    for a writer of the same format.
    """

    cells: Sequence[Any]
    text: str | None
    problem: str | None = None
    group: str | None = None
    origin: Any = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is added to a row: empty where the row was not scored. `error` is a code."""

    label: str | None = None
    confidence: float | None = None
    score: float | None = None
    error: str | None = None

    @property
    def values(self) -> tuple[str | None, float | None, float | None, str | None]:
        """Return the values of the four columns that are added, in order."""
        return self.label, self.confidence, self.score, self.error


@dataclass(frozen=True)
class Names:
    """The names of the columns that are added."""

    label: str = "label"
    confidence: str = "confidence"
    score: str = "score"
    error: str = "error"

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of `Verdict.values`."""
        yield from (self.label, self.confidence, self.score, self.error)

    @classmethod
    def beside(cls, columns: Sequence[str], chosen: Mapping[str, str | None]) -> Self:
        """Return the chosen names, and default ones for the others, after `sentiq_` if they are taken.

        Raises NameClashError if one is taken all the same.
        """
        defaults = {name: f"sentiq_{name}" if name in columns else name for name in ADDED}
        names = cls(**defaults | {name: given for name, given in chosen.items() if given is not None})
        names.check(columns)
        return names

    def check(self, columns: Sequence[str]) -> None:
        """Raise NameClashError if one of these columns, or one of the names themselves, is taken."""
        names = list(self)
        for option, name in zip(ADDED, names, strict=True):
            if not name:
                raise NameClashError(f"--{option}-name is empty. Give the column a name.")
            if name in columns or names.count(name) > 1:
                raise NameClashError(
                    f"There is a column {shown(name)} already. Give the new column another name: "
                    f"--{option}-name {name}_2"
                )


@dataclass(frozen=True)
class Wanted:
    """Which column is scored, which one the summary counts by, and how the file is to be read.

    None means: find out. `encoding` and `delimiter` concern CSV, TSV and JSONL, `sheet` concerns XLSX.
    """

    column: str | None = None
    by: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None


class Table(Protocol):
    """A table in a file. `columns` are the names in order, `about` says in words how the file is read."""

    format: str
    columns: Sequence[str]
    text_column: str
    about: str

    def rows(self) -> Iterator[Row]:
        """Yield all rows from the first. Raises TableError."""


class Writer(Protocol):
    """Writes rows with their verdicts to a file."""

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add a row. Raises TableError if the format cannot hold it."""

    def close(self) -> None:
        """Write what is left; the file stays open."""


@dataclass(frozen=True)
class Target:
    """How a table is written: the names of the new columns, and whether spreadsheets open it safely."""

    names: Names = field(default_factory=Names)
    excel: bool = False


def shown(text: str) -> str:
    """Return a name or a cell in quotes, without control characters, and cut if it is long."""
    cut = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    return "“" + "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in cut) + "”"


def listed(columns: Sequence[str]) -> str:
    """Return the columns as a message lists them."""
    more = f" and {len(columns) - _SHOWN_COLUMNS} more" if len(columns) > _SHOWN_COLUMNS else ""
    return ", ".join(shown(name) for name in columns[:_SHOWN_COLUMNS]) + more


def find_column(columns: Sequence[str], wanted: str | None, option: str = "--column") -> int:
    """Return the place of a column: that of the name, or without one of `text`, or of the only column.

    Spaces around a name make no difference. Raises TableError with the columns.
    """
    if wanted is None and len(columns) == 1:
        return 0
    name = "text" if wanted is None else wanted
    places = [place for place, column in enumerate(columns) if column == name]
    places = places or [place for place, column in enumerate(columns) if column.strip() == name.strip()]
    if not places:
        missing = f"There is no column {shown(name)}." if wanted else "Which column holds the text?"
        raise TableError(f"{missing} Name one of these with {option}: {listed(columns)}")
    if len(places) > 1:
        where = " and ".join(str(place + 1) for place in places)
        raise TableError(f"The column {shown(name)} occurs at places {where}. Rename all but one of them.")
    return places[0]


def is_empty(text: str) -> bool:
    """Return whether a cell holds no text to score."""
    return not text or text.isspace()
