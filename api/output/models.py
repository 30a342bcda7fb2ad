"""Turns the registry of models into bodies of responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.output.serializers import backlog_view
from api.schemas import models
from tasks.store.backlog import Backlog
from tasks.store.models import RegisteredModel
from tasks.store.workers import WorkerStatus
from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.labels import Label, LabelSet


def model_view(
    model: RegisteredModel,
    backlogs: Mapping[Queue, Backlog],
    workers: Sequence[WorkerStatus],
    default: str | None,
) -> models.RegisteredModel:
    """Return the body of a model, with what waits for it and who serves it."""
    serving = [worker for worker in workers if worker.serves == model.name]
    return {
        "name": model.name,
        "id": model.pack["id"],
        "revision": model.pack["revision"],
        "labels": [_label_view(label) for label in LabelSet.read(model.pack["labels"])],
        "input": model.pack["input"],
        "max_tokens": model.max_tokens,
        "uncertain_below": model.pack["uncertain_below"],
        "measured": model.pack["measured"],
        "default": model.name == default,
        "retiring": model.retiring,
        "workers": {"alive": len(serving), "children": sum(worker.children for worker in serving)},
        "classes": {queue.queue_class: backlog_view(backlogs[queue]) for queue in Queue.all_of(model.name)},
    }


def _label_view(label: Label) -> models.Label:
    return {
        "id": label.id,
        "label_zh": label.label_zh,
        "label_en": label.label_en,
        "polarity": label.polarity,
        "emoji": label.face,
    }
