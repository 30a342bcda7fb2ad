"""Numbers the values of one field of `data`: outcomes are then counted by it without `data`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from tasks.vocabulary.items import Item
from tasks.vocabulary.tallies import OTHER, NewGroups

MAX_VALUES = 1000
MAX_VALUE_CHARS = 128


class Grouping:
    """Gives each item the group of its value: 1 for the first value, 2 for the next one; 0 for all others.

    Values are strings, numbers and booleans. Without a field every item is in group 0. `known` are values
    that have groups already, as JSON.
    """

    def __init__(self, field: str, known: Sequence[bytes] = ()) -> None:
        self._field = field
        self._groups = {value: group for group, value in enumerate(known, start=1)}
        self._new: list[tuple[int, str]] = []

    def number(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items with their groups."""
        for item in items:
            yield item if not self._field else item._replace(group=self._group(item.data, self._field))

    def take(self) -> NewGroups:
        """Return the groups that are new since the last call."""
        taken, self._new = self._new, []
        return taken

    def _group(self, data: bytes | None, field: str) -> int:
        value = from_json(data).get(field) if data else None
        if not _is_countable(value):
            return OTHER
        written = to_json(value)
        if written not in self._groups and len(self._groups) < MAX_VALUES:
            self._groups[written] = len(self._groups) + 1
            self._new.append((self._groups[written], written.decode()))
        return self._groups.get(written, OTHER)


def _is_countable(value: Any) -> bool:
    """Return whether a value is a string, number or boolean of up to MAX_VALUE_CHARS characters."""
    if isinstance(value, str):
        return len(value) <= MAX_VALUE_CHARS
    if isinstance(value, float) and not math.isfinite(value):
        return False  # a number beyond a double, which JSON could not name
    return isinstance(value, (bool, int, float)) and len(to_json(value)) <= MAX_VALUE_CHARS
