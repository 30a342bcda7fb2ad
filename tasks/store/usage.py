"""Usage by owner, day and model: read, and folded by month when it gets old."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import USAGE_OWNERS, usage_key
from tasks.vocabulary.usage import USAGE_NAMES, Usage

# Usage is kept by day for that long at least, then by month.
DAILY_DAYS = 62
KEPT_DAYS = 400
_EPOCH = date(1970, 1, 1)
_ALL = "all"
_FOLD_MS = 3_600_000
_OWNERS_AT_ONCE = 100  # a year of an owner with some models has about 100 kB
_MONTH_CHARS = len("2026-01")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A day, or a whole month whose days were folded."""

    first: date
    last: date

    def __str__(self) -> str:
        """Write it as `2026-01-31` or `2026-01`."""
        return self.first.isoformat() if self.first == self.last else self.first.isoformat()[:_MONTH_CHARS]


UsageByPlace = Mapping[tuple[Period, str], Usage]


def today(store: JobStore) -> date:
    """Return the day by Redis's clock, in UTC."""
    return datetime.fromtimestamp(store.now_ms() / 1000, UTC).date()


def usage_owners(store: JobStore) -> list[str]:
    """Return the owners that have usage, in the order in which they were first counted."""
    with store_errors():
        return [owner.decode() for owner in store.redis.zrange(USAGE_OWNERS, 0, -1)]


def read_usage(store: JobStore, owner: str, first: date, last: date) -> UsageByPlace:
    """Return what an owner used by period and model, from one day to another.

    A month that was folded is there as a whole if it has any of these days.
    """
    ((_, used),) = read_usages(store, [owner], first, last)
    return used


def read_usages(
    store: JobStore, owners: Sequence[str], first: date, last: date
) -> Iterator[tuple[str, UsageByPlace]]:
    """Yield what each of the owners used, as `read_usage` does; many of them are one round trip."""
    for start in range(0, len(owners), _OWNERS_AT_ONCE):
        some = owners[start : start + _OWNERS_AT_ONCE]
        with store_errors():
            pipe = store.redis.pipeline(transaction=False)
            for owner in some:
                pipe.hgetall(usage_key(owner))
            read: list[Mapping[bytes, bytes]] = pipe.execute()
        for owner, raw in zip(some, read, strict=True):
            yield owner, _between(raw, first, last)


def _between(raw: Mapping[bytes, bytes], first: date, last: date) -> UsageByPlace:
    counts: dict[tuple[Period, str], dict[str, int]] = defaultdict(dict)
    for (written, model, name), count in _fields(raw):
        period = _period(written)
        if period.first <= last and period.last >= first:
            counts[period, model][name] = count
    return {place: Usage.read(counts[place]) for place in sorted(counts)}


def total_usage(store: JobStore, owners: Sequence[str]) -> dict[str, Usage]:
    """Return what each of the owners used since it is known; these sums never fall."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for owner in owners:
            pipe.hmget(usage_key(owner), [f"{_ALL} {name}" for name in USAGE_NAMES])
        read = pipe.execute()
    return {
        owner: Usage(*(int(count or 0) for count in counts))
        for owner, counts in zip(owners, read, strict=True)
    }


class UsageFolder:
    """Folds the usage of all owners once an hour. A second one at once does no harm."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._folded_ms = 0

    def fold(self, now_ms: int) -> None:
        """Fold what is old, if the last time was an hour ago."""
        if now_ms - self._folded_ms < _FOLD_MS:
            return
        self._folded_ms = now_ms
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        for owner in usage_owners(self._store):
            fold(self._store, owner, day)


def fold(store: JobStore, owner: str, day: date) -> None:
    """Fold an owner's months of which every day is older than `DAILY_DAYS`; forget those beyond `KEPT_DAYS`.

    `day` is today.
    """
    daily_from, kept_from = day - timedelta(DAILY_DAYS), day - timedelta(KEPT_DAYS)
    folds, drops = [], []
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(usage_key(owner))
    for (written, model, name), _ in _fields(raw):
        month = _month(_period(written).first)
        if month.last < kept_from:
            drops.append(f"{written} {model} {name}")
        elif month.last < daily_from and len(written) != _MONTH_CHARS:
            folds.append((f"{written} {model} {name}", f"{month} {model} {name}"))
    if folds or drops:
        store.run("fold_usage", {"owner": owner, "folds": folds, "drops": drops})


def _fields(raw: Mapping[bytes, bytes]) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Yield period, model and name of each count of an owner, with the count."""
    for field, count in raw.items():
        written, *rest = field.decode().split(" ")
        if written != _ALL:
            model, name = rest
            yield (written, model, name), int(count)


def _period(written: str) -> Period:
    if "-" in written:
        return _month(date.fromisoformat(f"{written}-01"))
    day = _EPOCH + timedelta(int(written))
    return Period(day, day)


def _month(day: date) -> Period:
    days = calendar.monthrange(day.year, day.month)[1]
    return Period(day.replace(day=1), day.replace(day=days))
