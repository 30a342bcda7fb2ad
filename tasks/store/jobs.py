"""The job store: what was accepted, what is leased, what is done. The only truth about a job.

Every change is one Lua script, so that no crash leaves half of it; times are Redis's own, so that no
machine's clock matters. This file creates and reads jobs; `uploads` adds to them, `leases` is what children
do, `cancel` ends jobs early, and `reconciler` recovers what a crash interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis

from tasks.errors import (
    DeadlineTooShortError,
    JobDeletedError,
    JobExpiredError,
    JobLostError,
    JobNotFoundError,
    SentiqError,
    StoreUnavailableError,
    UnknownFormatError,
    UnknownModelError,
    UploadClosedError,
)
from tasks.settings import MAX_DEFERRAL_S, Settings
from tasks.store.admission import Headroom, admission_request, refusal_error
from tasks.store.attachments import AttachmentReader, attachments_of
from tasks.store.connection import connect, store_errors
from tasks.store.durability import Durability
from tasks.store.id_secret import NEW_S, IdSecret
from tasks.store.idempotency import REMEMBERED_MS, IdempotencyKey
from tasks.store.ids import JobIds
from tasks.store.keys import WRITABLE, job_key
from tasks.store.label_lists import LabelLists
from tasks.store.scripts import Scripts
from tasks.vocabulary.attachments import data_bytes
from tasks.vocabulary.chunks import Chunk, ChunkRef
from tasks.vocabulary.codec import decode_results, encode_chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import ItemResult
from tasks.vocabulary.job_format import FORMAT, READABLE
from tasks.vocabulary.jobs import Job, Terms
from tasks.vocabulary.tallies import NewGroups

_DAY_MS = 86_400_000
_SECRETS_CHANGE = (
    "Redis lost its data, and processes are about to agree on the secret that signs ids: try again"
)
_SECRET_READS = 3  # each process that adds a secret changes what the others have read
MISSING_REASON: dict[bytes, type[SentiqError]] = {
    b"deleted": JobDeletedError,
    b"expired": JobExpiredError,
    b"lost": JobLostError,
}
# Ids carry the time of the host that issued them: its clock may differ from Redis's by as much as this.
CLOCK_SKEW_MS = 300_000


@dataclass(frozen=True, slots=True)
class Page:
    """Items in input order, of `size` bytes in Redis.

    `starts` are the first indexes of their chunks, and the one behind the last.
    """

    items: Sequence[ItemResult]
    starts: Sequence[int]
    size: int = 0

    def chunk_of(self, index: int) -> int:
        """Return the start of the chunk that holds an index of this page, or the first one after it."""
        return max(start for start in self.starts if start <= index)


class JobStore:
    """Records and reads jobs. Every method raises StoreUnavailableError when Redis does not serve."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        # redis-py types every answer as bytes or str or more; here it is what the call documents.
        self.redis: Any = client
        self.settings = settings
        self.headroom = Headroom(client, settings)
        self.durability = Durability(client)
        self.labels = LabelLists(client)
        self._id_secret = IdSecret(client, settings)
        self.scripts = Scripts(client)
        self.run = self.scripts.run

    @classmethod
    def connect(cls, settings: Settings, *, patience: int = 1) -> JobStore:
        """Open the store that the settings name; see `connection.connect` for patience."""
        return cls(connect(settings, patience=patience), settings)

    @property
    def ids(self) -> JobIds:
        """Return the issuer of job ids. It signs with the given secret, or with one that is kept in Redis."""
        return self._id_secret.ids()

    def check(self) -> None:
        """Return when Redis answers and accepts writes."""
        with store_errors():
            self.redis.set(WRITABLE, 1, px=1000)

    def create(  # noqa: PLR0913  a job is made with each of them
        self,
        job_id: str,
        terms: Terms,
        chunks: Sequence[Chunk],
        *,
        key: IdempotencyKey | None = None,
        feed: Feed | None = None,
        listed: bool = True,
        groups: NewGroups = (),
        publish: Callable[[str, int], None] | None = None,
        audit: Sequence[Any] | None = None,
    ) -> Job:
        """Record a job with its chunks and its entry in the audit log, `publish` its wake-ups, and return it.

        With a feed it is an upload, which stays open for more chunks. Where `key` made a job before, that one
        is returned. An unlisted one is found by its id only. Raises a RefusedError when there is no room for
        it, UploadClosedError when it is to be the shadow of a job that was canceled or deleted.
        """
        self.headroom.check()
        chosen_s, terms = terms.deadline_s, self._with_defaults(terms)
        payloads = [encode_chunk(chunk) for chunk in chunks]
        args = self._creation(job_id, terms, chunks, payloads)
        if chosen_s and feed is None:
            args["admission"]["deadline_ms"] = 1000 * chosen_s
        args["attachments"], attached = attachments_of(chunks, keep_texts=terms.keep_texts)
        if key:
            ttl_ms = feed.idle_timeout_ms if feed else REMEMBERED_MS
            args["key"] = {"name": key.redis_key, "fingerprint": key.fingerprint, "ttl_ms": ttl_ms}
        args |= {"upload": _upload(feed), "unlisted": None if listed else True}
        args["values"] = groups or None
        args |= {"wakes": bool(publish) or None, "audit": audit}
        answer = self._create(args, [*payloads, *attached])
        if key and isinstance(answer, bytes):
            return self.job(key.replays(answer), terms.owner)
        now, place = answer[:2]
        if now == b"retired":
            raise UnknownModelError(terms.model)
        if now == b"closed":
            raise UploadClosedError(terms.shadow_of or job_id)
        if now == b"deadline":
            raise DeadlineTooShortError(chosen_s or 0, math.ceil(place / 1000))
        if isinstance(now, bytes):
            kept_limit = self.headroom.kept_limit(terms.owner)
            raise refusal_error(now, place, self.settings, kept_limit, terms.limits)
        paused_ms, wakeups = answer[2] or None, answer[3]
        if publish and wakeups:
            publish(terms.model, wakeups)
        job = Job.recorded(job_id, terms, args["total"], now)
        return replace(
            job, uploading=feed is not None, place=None if place < 0 else place, paused_ms=paused_ms
        )

    def job(self, job_id: str, owner: str = "") -> Job:
        """Read a record.

        Raises JobNotFoundError, JobExpiredError, JobDeletedError or JobLostError when there is none.
        """
        (found,) = self.jobs([job_id], owner)
        if isinstance(found, SentiqError):
            raise found
        return found

    def jobs(self, job_ids: Sequence[str], owner: str = "") -> list[Job | SentiqError]:
        """Read many records in one round trip; in place of a missing one is the error that says why."""
        issued = {job_id: self.issued_at_ms(job_id, owner) for job_id in job_ids}
        records = self._records([job_id for job_id, at_ms in issued.items() if at_ms is not None])
        return [
            _decoded(job_id, record)
            if (record := records.get(job_id))
            else self._explain_missing(job_id, owner, issued[job_id])
            for job_id in job_ids
        ]

    def issued_at_ms(self, job_id: str, owner: str = "") -> int | None:
        """Return when the id was issued for the owner, in ms since the epoch; None if it never was."""
        at_ms = self.ids.issued_at_ms(job_id, owner)
        if at_ms is None:
            # Another process may have replaced a secret that Redis had lost.
            at_ms = self._id_secret.ids(max_age_s=NEW_S).issued_at_ms(job_id, owner)
        return at_ms

    def with_results(self, job_ids: Sequence[str], limit: int) -> dict[str, tuple[Job, Page]]:
        """Read jobs with their first results in one round trip, until `limit` items of each.

        A job that cannot be read is left out: `job` says why.
        """

        def fill(pipe: Any) -> None:
            for job_id in job_ids:
                pipe.hgetall(job_key(job_id))
                self.scripts.add(pipe, "read_results", {"job_id": job_id, "start": 0, "limit": limit})

        answers = iter(self.scripts.pipelined(fill))
        found = zip(job_ids, answers, answers, strict=True)
        return {
            job_id: (Job.decode(job_id, record), self._page(0, chunks))
            for job_id, record, chunks in found
            if record and is_readable(record.get(b"format"))
        }

    def results(self, job_id: str, start: int, limit: int) -> Page:
        """Read completed chunks in input order from the one that begins at `start`, until `limit` items."""
        args = {"job_id": job_id, "start": start, "limit": limit}
        return self._page(start, self.run("read_results", args))

    def _page(self, start: int, chunks: Sequence[Any]) -> Page:
        items: list[ItemResult] = []
        starts, attachments, size = [start], AttachmentReader(), 0
        for chunk_start, payload, attached in chunks:
            size += len(payload) + sum(len(each) for each in (attached or ())[1:])
            read = decode_results(chunk_start, payload, self.labels.of)
            items += attachments.complete(read, attached)
            starts.append(items[-1].index + 1)
        return Page(items, starts, size)

    def finished_until(self, job: Job) -> int:
        """Return the index of the first item, in input order, that is not finished; the total if all are.

        It is the first of a chunk.
        """
        with store_errors():
            unfinished = self.redis.hkeys(job_key(job.id, "chunks"))
        return min([job.counts.total, *map(int, unfinished)])

    def results_by_completion(self, job_id: str, position: int, limit: int) -> list[list[ItemResult]]:
        """Read up to `limit` completed chunks in the order of their completion, from a position in it on."""
        args = {"job_id": job_id, "position": position, "limit": limit}
        attachments = AttachmentReader()
        return [
            list(attachments.complete(decode_results(start, payload, self.labels.of), attached))
            for start, payload, attached in self.run("results_by_completion", args)
        ]

    def remembered(self, key: IdempotencyKey) -> str | None:
        """Return the id of the job that a key made, if any; raise what `IdempotencyKey.replays` does."""
        with store_errors():
            known = self.redis.get(key.redis_key)
        return key.replays(known) if known else None

    def now_ms(self) -> int:
        """Return Redis's clock, the only one that counts, in ms since the epoch."""
        with store_errors():
            seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def _create(self, args: dict[str, Any], payloads: Sequence[bytes]) -> Any:
        """Run the script, once Redis has the secret that signed the id. Raises StoreUnavailableError."""
        for _ in range(_SECRET_READS):
            answer = self.run("create_job", args | {"secret_hash": self._id_secret.fingerprint}, payloads)
            if answer != b"another secret":
                return answer
            self._id_secret.ids(max_age_s=0)
        raise StoreUnavailableError(_SECRETS_CHANGE)

    def _with_defaults(self, terms: Terms) -> Terms:
        """Fill in the service's own values where the caller gave none."""
        return replace(
            terms,
            model=terms.model or self.settings.default_model,
            queue_class=terms.queue.queue_class,
            deadline_s=terms.deadline_s or self.settings.deadline_s(terms.queue.queue_class),
            result_ttl_s=terms.result_ttl_s or self.settings.result_ttl_s,
        )

    def _creation(
        self, job_id: str, terms: Terms, chunks: Sequence[Chunk], payloads: Sequence[bytes]
    ) -> dict[str, Any]:
        """Return the arguments of the script that follow from complete terms and chunks."""
        ttl_ms, deadline_ms = 1000 * (terms.result_ttl_s or 0), 1000 * (terms.deadline_s or 0)
        refs = [ChunkRef.of(chunk) for chunk in chunks]
        default_ttl_ms = self.settings.result_ttl_s * 1000
        tombstone_ms = deadline_ms + max(ttl_ms, default_ttl_ms) + _DAY_MS
        if terms.not_before_ms:
            tombstone_ms += MAX_DEFERRAL_S * 1000
        return {
            "job_id": job_id,
            "queue": str(terms.queue),
            "owner": terms.owner,
            "format": FORMAT,
            "total": sum(len(chunk.items) for chunk in chunks),
            "cost": sum(ref.cost for ref in refs),
            "data_bytes": sum(data_bytes(chunk.items) for chunk in chunks) or None,
            "deadline_ms": deadline_ms,
            "ttl_ms": ttl_ms,
            # Settings and the id say how long results are kept, unless the job has a lifetime of its own.
            "tombstone_ms": None if ttl_ms == default_ttl_ms else tombstone_ms,
            "fields": terms.encode(),
            "admission": admission_request(
                self.settings,
                terms.queue,
                terms.owner,
                payloads,
                self.headroom.kept_limit(terms.owner),
                limits=terms.limits,
            )
            | ({"shadow": True} if terms.shadow_of else {}),
            "chunks": [(ref.start, str(ref)) for ref in refs],
        }

    def _records(self, job_ids: Sequence[str]) -> dict[str, dict[bytes, bytes]]:
        with store_errors():
            if len(job_ids) == 1:
                return {job_ids[0]: self.redis.hgetall(job_key(job_ids[0]))}
            pipe = self.redis.pipeline(transaction=False)
            for job_id in job_ids:
                pipe.hgetall(job_key(job_id))
            return dict(zip(job_ids, pipe.execute(), strict=True))

    def _explain_missing(self, job_id: str, owner: str, issued_at_ms: int | None) -> Job | SentiqError:
        """Return why there is no record; the job itself where it came meanwhile."""
        if issued_at_ms is None:
            return JobNotFoundError(job_id)
        args = {
            "job_id": job_id,
            "issued_at_ms": issued_at_ms,
            "ttl_ms": self.settings.result_ttl_s * 1000,
            "clock_skew_ms": CLOCK_SKEW_MS,
        }
        reason = self.run("explain_missing", args)
        if reason == b"here":
            return self.jobs([job_id], owner)[0]
        return MISSING_REASON[reason](job_id)


def _decoded(job_id: str, record: dict[bytes, bytes]) -> Job | SentiqError:
    return Job.decode(job_id, record) if is_readable(record.get(b"format")) else UnknownFormatError(job_id)


def is_readable(written: bytes | None) -> bool:
    """Return whether this program reads the format that a record carries; True where there is no record."""
    return written is None or int(written) in READABLE


def _upload(feed: Feed | None) -> dict[str, Any] | None:
    if feed is None:
        return None
    return {
        "writer": feed.writer,
        "seed": feed.seed,
        "digest": feed.digest,
        "idle_timeout_ms": feed.idle_timeout_ms,
    }
