"""Shadows: a second model scores a sample of the items of a job, in a bulk job of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.options import Options

# Most items of a shadow: the first ones of the sample. They are enough to know a share within 1 %.
MAX_SAMPLE = 10_000
_DRAWN_BYTES = 4
_DRAWN_NUMBERS = 1 << (8 * _DRAWN_BYTES)


def shadow_terms(job_id: str, terms: Terms) -> Terms:
    """Return the terms of the shadow of a job.

    It asks for no parts of texts, waits as long as the job, and has the deadline of bulk jobs and no webhook.
    """
    return Terms(
        options=Options(terms.options.on_long_text, probabilities=terms.options.probabilities),
        queue_class=QueueClass.BULK,
        result_ttl_s=terms.result_ttl_s,
        owner=terms.owner,
        request_id=terms.request_id,
        model=terms.compare_with,
        shadow_of=job_id,
        trace=terms.trace,
        not_before_ms=terms.not_before_ms,
    )


def sampled(chunks: Sequence[Chunk], share: float) -> Iterator[Item]:
    """Yield the items of a job's chunks that its shadow has, each with its index in the job.

    Those that no model scores are left out.
    """
    for chunk in chunks:
        for index, item in enumerate(chunk.items, chunk.start):
            if item.error is None and not item.aspects and is_drawn(index, share):
                yield Item(item.text, item.chars, item.id, source_index=index)


def is_drawn(index: int, share: float) -> bool:
    """Return whether the item of an index is in a sample of that share.

    The answer is the same in every job. A larger share has all items of a smaller one.
    """
    drawn = hashlib.blake2b(index.to_bytes(_DRAWN_BYTES), digest_size=_DRAWN_BYTES).digest()
    return int.from_bytes(drawn) < share * _DRAWN_NUMBERS
