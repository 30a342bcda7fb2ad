"""Usage as rows of JSON or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from api.schemas import usage as bodies
from api.schemas.queries import AllUsageQuery, UsageQuery
from tasks.cells import defused
from tasks.errors import SentiqError
from tasks.store.jobs import JobStore
from tasks.store.usage import Period, read_usages, today, usage_owners
from tasks.vocabulary.usage import Usage

_SUMS = ("items", "errors", "characters", "tokens", "model_seconds")
COLUMNS = ("period", "model", *_SUMS)
_DEFAULT_DAYS = 30
OWNER_COLUMNS = ("owner", "name", *COLUMNS)


class ReversedDaysError(SentiqError):
    """The first day that is asked for is behind the last one."""

    code = "invalid_request"


def days_of(store: JobStore, query: UsageQuery) -> tuple[date, date]:
    """Return the first and the last day; 30 days up to today if they are left out.

    Raises ReversedDaysError.
    """
    last = query.to or today(store)
    first = query.first or last - timedelta(min(_DEFAULT_DAYS - 1, (last - date.min).days))
    if first > last:
        raise ReversedDaysError(f"{first} is behind {last}")
    return first, last


def all_usage(store: JobStore, names: Mapping[str, str], query: AllUsageQuery) -> bodies.AllUsage:
    """Return the usage of all owners, or of one; `names` are those of keys. Raises ReversedDaysError."""
    first, last = days_of(store, query)
    rows: list[bodies.OwnerUsageRow] = []
    total = Usage()
    owners = usage_owners(store) if query.owner is None else [query.owner]
    for owner, used in read_usages(store, owners, first, last):
        total += sum(used.values(), Usage())
        rows += [{"owner": owner, "name": names.get(owner), **row} for row in usage_rows(used, query.by)]
    return {
        "object": "list",
        "first": str(first),
        "last": str(last),
        "data": rows,
        "total": sum_view(total),
    }


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
