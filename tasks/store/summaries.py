"""The summary of a job, as `lua/include/summary.lua` counts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.labels import Label
from tasks.vocabulary.tallies import OTHER, Tally, read_tally

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The items of a job by outcome; `errors` are numbers of items by code.

    `groups` are the values of the field that the job is summarised by, in the order in which they came, each
    with its tally. `other` counts the items that have none of these values: all of them where the job has no
    such field. `labels` are those of the models that gave verdicts, by id.
    """

    total: Tally
    errors: Mapping[ItemError, int]
    groups: Sequence[tuple[Value, Tally]]
    other: Tally
    labels: Mapping[str, Label]


def read_summary(store: JobStore, job_id: str) -> Summary:
    """Read the summary of a job; one without outcomes has tallies of 0 items."""
    fields = _fields(store, job_id)
    values = {int(group): from_json(value) for group, value in fields.pop("value", {}).items()}
    errors = {ItemError(code): int(items) for code, items in fields.pop("error", {}).items()}
    fields.pop("bytes", None)
    models = {model: store.labels.of(model) for written in fields.values() for model in written if model}
    total, tallies = Tally(), defaultdict[int, Tally](Tally)
    for group, written in fields.items():
        for model, numbers in written.items():
            for tally in (total, tallies[int(group)]):
                tally.add(read_tally(numbers), models.get(model))
    groups = [(value, tallies[group]) for group, value in sorted(values.items())]
    labels = {label.id: label for model in models.values() for label in model}
    return Summary(total, errors, groups, tallies[OTHER], labels)


def read_values(store: JobStore, job_id: str) -> list[bytes]:
    """Return the values that have groups of their own, as JSON, in the order in which they came."""
    values = _fields(store, job_id).get("value", {})
    return [values[group] for group in sorted(values, key=int)]


def _fields(store: JobStore, job_id: str) -> dict[str, dict[str, bytes]]:
    """Return the summary as Redis holds it: by the first word of a field, then by the second."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(job_key(job_id, "summary"))
    fields: dict[str, dict[str, bytes]] = defaultdict(dict)
    for name, value in raw.items():
        first, _, second = name.decode().partition(" ")
        fields[first][second] = value
    return fields
