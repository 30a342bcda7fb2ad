"""Retries: the texts of failed items are kept as long as the results, for a job that tries them again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tasks.errors import NothingToRetryError
from tasks.store.attachments import AttachmentReader
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.vocabulary.codec import decode_chunk, decode_results
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Job, Terms

_CHUNK_BATCH = 50


def retry_terms(job: Job) -> Terms:
    """Return the terms of a job that retries the failed items of another.

    They are the same but for the deadline: one that was too short must not be so again. Its items are no
    sample, so that it is not compared, and no shadow.
    """
    given = replace(job.terms, deadline_s=None, not_before_ms=None, trace="")
    return replace(given, retry_of=job.id, compare_with="", shadow_of=None)


def retryable_items(store: JobStore, job: Job, code: ItemError | None = None) -> Iterator[Item]:
    """Yield the failed items of a finished job in input order, with their data and their indexes there.

    `code`: only those with this error. Raises NothingToRetryError at once.
    """
    with store_errors():
        starts = sorted(map(int, store.redis.hkeys(job_key(job.id, "retryable"))))
    if not starts:
        raise NothingToRetryError(job.id)
    return _read(store, job.id, starts, code)


def _read(store: JobStore, job_id: str, starts: list[int], code: ItemError | None) -> Iterator[Item]:
    for first in range(0, len(starts), _CHUNK_BATCH):
        args = {"job_id": job_id, "starts": starts[first : first + _CHUNK_BATCH]}
        attachments = AttachmentReader()
        for start, texts, results, attached in store.run("read_retryable", args):
            ended = attachments.complete(decode_results(start, results, store.labels.of), attached)
            failed = (end for end in ended if isinstance(end.outcome, ItemError) and end.outcome.retryable)
            for item, end in zip(decode_chunk(job_id, start, texts).items, failed, strict=True):
                if code is None or end.outcome is code:
                    yield item._replace(data=end.data, source_index=end.index)
