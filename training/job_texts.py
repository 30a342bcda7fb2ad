"""Texts of finished jobs with their verdicts, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sentiq import Sentiq, SentiqConnectionError, SentiqError
from tqdm import tqdm

from training.unlabelled import Guessed, SourceError, margin, own_names

_ID = "id"


def job_texts(client: Sentiq, job_id: str) -> Iterator[Guessed]:
    """Yield the texts of a finished job with `keep_texts`, each with its verdict. Raises SourceError.

    The own columns of a text are the `id` and the `data` of its item. Items without a verdict are left out.
    """
    try:
        job = client.job(job_id)
        _require_texts(job.raw)
        items = job.raw_results()
        for item in tqdm(items, total=job.counts.total, unit=" items", leave=False, disable=None):
            if item.get("label") and item.get("text"):
                yield _guessed(item)
    except SentiqConnectionError as error:
        raise SourceError(f"{job_id}: the service does not answer: {error}") from error
    except SentiqError as error:
        raise SourceError(f"{job_id}: the service answers {error.status} {error}") from error


def _require_texts(job: Mapping[str, Any]) -> None:
    if not job["keep_texts"]:
        raise SourceError(
            f"{job['id']}: its texts are gone, because it was submitted without keep_texts; "
            "choose from your own file of the texts, or submit them again with keep_texts"
        )
    pending = job["counts"]["pending"]
    if pending or job["uploading"]:
        raise SourceError(f"{job['id']}: is still running, {pending} texts have no verdict; wait for its end")


def _guessed(item: Mapping[str, Any]) -> Guessed:
    """Return an item as a text. A field `id` of its data is `own_id`."""
    data = item.get("data") or {}
    names = own_names(data, {_ID})
    own = {names[name]: _cell(value) for name, value in data.items()}
    given = {} if item["id"] is None else {_ID: item["id"]}
    probabilities = item.get("probabilities")
    difference = margin(probabilities.values()) if probabilities else None
    return Guessed(item["text"], given | own, item["label"], item["confidence"], difference)


def _cell(value: object) -> object:
    """Return a value of `data` as a cell: lists, objects and truth values as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | dict) else value
