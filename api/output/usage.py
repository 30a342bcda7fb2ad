"""Usage as rows of JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.schemas import usage as bodies
from tasks.cells import defused
from tasks.store.usage import Period
from tasks.vocabulary.usage import Usage

_SUMS = ("items", "errors", "characters", "tokens", "model_seconds")
COLUMNS = ("period", "model", *_SUMS)
OWNER_COLUMNS = ("owner", "name", *COLUMNS)


def usage_rows(used: Mapping[tuple[Period, str], Usage], by: str | None) -> list[bodies.UsageRow]:
    """Return a row for each period and model; by `day` or by `model` alone if asked for."""
    sums: dict[tuple[str | None, str | None], Usage] = {}
    for (period, model), usage in used.items():
        place = (None if by == "model" else str(period), None if by == "day" else model)
        sums[place] = sums.get(place, Usage()) + usage
    return [{"period": period, "model": model, **sum_view(usage)} for (period, model), usage in sums.items()]


def sum_view(usage: Usage) -> bodies.UsageSum:
    """Return the body of a sum."""
    return {
        "items": usage.items,
        "errors": usage.errors,
        "characters": usage.characters,
        "tokens": usage.tokens,
        "model_seconds": usage.model_ms / 1000,
    }


def csv_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows as CSV with a header; a name cannot be run as a formula by a spreadsheet."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return written.getvalue()


def _cell(value: Any) -> Any:
    return defused(value) if isinstance(value, str) else value
