"""The labels of every pack that has served here: results hold probabilities by number only."""

from __future__ import annotations

from typing import Any

import redis

from tasks.errors import LabelsChangedError, LabelsUnknownError
from tasks.store.connection import store_errors
from tasks.store.keys import LABELS
from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet


class LabelLists:
    """The lists by model (`id@revision`). A list that is recorded never changes, so each is read once."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client
        self._known: dict[str | None, LabelSet] = {}

    def record(self, model: str, labels: LabelSet) -> None:
        """Record the labels of a model before its first result. Raises LabelsChangedError."""
        with store_errors():
            self._redis.hsetnx(LABELS, model, labels.encode())
            recorded = self._redis.hget(LABELS, model)
        if recorded is not None and LabelSet.decode(recorded) != labels:
            detail = f"{model} had other labels when it served before: make the pack with another --revision"
            raise LabelsChangedError(detail)

    def of(self, model: str | None) -> LabelSet:
        """Return the labels of the model that gave some results. Raises LabelsUnknownError."""
        if model not in self._known:
            self._known[model] = self._read(model)
        return self._known[model]

    def ids(self) -> set[str]:
        """Return the ids of all labels that any model here ever had."""
        with store_errors():
            recorded = self._redis.hvals(LABELS)
        return {label.id for labels in map(LabelSet.decode, recorded) for label in labels}

    def _read(self, model: str | None) -> LabelSet:
        if model is None:
            return NEGATIVE_POSITIVE  # no item of the chunk has a verdict
        with store_errors():
            recorded = self._redis.hget(LABELS, model)
        if recorded is None:
            raise LabelsUnknownError(f"the labels of {model} are not recorded: start a worker that serves it")
        return LabelSet.decode(recorded)
