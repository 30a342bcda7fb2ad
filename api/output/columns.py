"""The columns of CSV rows: those of the service, those of the caller, and parts of verdicts and of `data`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from pydantic_core import from_json

from api.output.serializers import item_view, one_line
from tasks.vocabulary.items import ItemResult
from tasks.vocabulary.jobs import Job

_OF_ITEMS = (
    *("index", "id", "status", "label", "label_zh", "confidence", "positive_prob", "negative_prob", "score"),
    *("uncertain", "unfamiliar", "truncated", "chars", "tokens", "cached", "attempts", "model"),
    *("error_code", "error_message"),
)
# Rows have these columns where they are chosen.
_ON_CHOICE = ("probabilities", "aspects", "sentences", "highlights", "text_tokens")
# Before a column of the service whose name is that of a column of the caller.
_PREFIX = "sentiq_"
_SHOWN_CHARS = 64


class UnknownColumnError(ValueError):
    """A column was chosen that the rows of the job do not have; the message names those that they have."""


class Row:
    """An item as its columns read it."""

    def __init__(self, item: ItemResult) -> None:
        view: dict[str, Any] = {**item_view(item)}
        error = view.pop("error") or {"code": None, "message": None}
        self.view = view | {f"error_{name}": value for name, value in error.items()}
        self._data = item.data

    @property
    def json(self) -> str | None:
        """Return the item's `data` as JSON."""
        return one_line(self._data).decode() if self._data else None

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """Return the fields of the item's `data`."""
        fields: dict[str, Any] = from_json(self._data) if self._data else {}
        return fields


Cell = Callable[[Row], object]


def columns_of(job: Job) -> dict[str, Cell]:
    """Return the columns of a job's rows by name."""
    return _own(job) | _ours(job)


def chosen_columns(job: Job, chosen: str, labels: Callable[[], Collection[str]]) -> dict[str, Cell]:
    """Return the columns that are `chosen`, names as a row of CSV; `labels` returns those that models have.

    Raises UnknownColumnError.
    """
    (names,) = csv.reader([chosen])
    known = columns_of(job) | {_free(name, job.terms.columns): _member(name) for name in _ON_CHOICE}
    probabilities = {f"prob.{label}" for label in labels()} if "prob." in chosen else set()
    for name in names:
        if name.startswith("prob.") and name not in probabilities | known.keys():
            raise _unknown(name, sorted(probabilities))
    return {name: known.get(name) or _part(name, known) for name in names}


def _own(job: Job) -> dict[str, Cell]:
    """Return the columns of the caller, which are fields of `data`."""
    return {name: _field(name) for name in job.terms.columns}


def _ours(job: Job) -> dict[str, Cell]:
    names = [
        *_OF_ITEMS,
        *(["source_index"] if job.terms.retry_of or job.terms.shadow_of else []),
        *(["text"] if job.terms.keep_texts else []),
    ]
    cells: dict[str, Cell] = {name: _member(name) for name in names}
    if not job.terms.columns:
        cells["data"] = lambda row: row.json
    return {_free(name, job.terms.columns): cell for name, cell in cells.items()}


def _free(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name = _PREFIX + name
    return name


def _part(name: str, known: Mapping[str, Cell]) -> Cell:
    """Return the column of `data.FIELD`, `prob.LABEL` or `aspect.ASPECT`."""
    whole, _, part = name.partition(".")
    makers = {"data": _field, "prob": _probability, "aspect": _aspect}
    if not part or whole not in makers:
        raise _unknown(name, [*known, "data.FIELD", "prob.LABEL", "aspect.ASPECT"])
    return makers[whole](part)


def _unknown(name: str, known: Sequence[str]) -> UnknownColumnError:
    return UnknownColumnError(f"there is no column `{name[:_SHOWN_CHARS]}`; known: {', '.join(known)}")


def _member(name: str) -> Cell:
    return lambda row: row.view.get(name)


def _field(name: str) -> Cell:
    return lambda row: row.data.get(name)


def _probability(label: str) -> Cell:
    return lambda row: (row.view.get("probabilities") or {}).get(label)


def _aspect(aspect: str) -> Cell:
    """Return the column of the label of an aspect."""
    return lambda row: next(
        (each["label"] for each in row.view.get("aspects") or () if each["aspect"] == aspect), None
    )
