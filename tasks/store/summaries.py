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
    such field. `labels` are those of the models that gave verdicts, by id. `aspects` are the words that have
    a tally of the verdicts on them, in the order in which they were first counted; `other_aspects` counts the
    verdicts on all others.
    """

    total: Tally
    errors: Mapping[ItemError, int]
    groups: Sequence[tuple[Value, Tally]]
    other: Tally
    labels: Mapping[str, Label]
    aspects: Sequence[tuple[str, Tally]]
    other_aspects: Tally


def read_summary(store: JobStore, job_id: str) -> Summary:
    """Read the summary of a job; one without outcomes has tallies of 0 items."""
    fields = _fields(store, job_id)
    values = {group: from_json(value) for group, value in fields.pop("value", {}).items()}
    aspects = {f"a{int(number)}": aspect for aspect, number in fields.pop("aspect", {}).items()}
    errors = {ItemError(code): int(items) for code, items in fields.pop("error", {}).items()}
    for name in ("bytes", "aspects"):
        fields.pop(name, None)
    models = {model: store.labels.of(model) for written in fields.values() for model in written if model}
    total, tallies = Tally(), defaultdict[str, Tally](Tally)
    for group, written in fields.items():
        for model, numbers in written.items():
            for tally in (tallies[group], *([total] if group.isdigit() else [])):
                tally.add(read_tally(numbers), models.get(model))
    return Summary(
        total,
        errors,
        [(values[group], tallies[group]) for group in sorted(values, key=int)],
        tallies[str(OTHER)],
        {label.id: label for model in models.values() for label in model},
        [(aspects[group], tallies[group]) for group in sorted(aspects, key=_number)],
        tallies[f"a{OTHER}"],
    )


def _number(group: str) -> int:
    """Return the number of the group of an aspect."""
    return int(group[1:])


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
