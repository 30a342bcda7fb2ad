"""The job store: what was accepted, what is leased, what is done. The only truth about a job.

Every change is one Lua script, so that no crash leaves half of it; times are Redis's own, so that no
machine's clock matters. What children do to it is in `leases`, how jobs grow in `uploads`, how they end early
in `cancel`, what mends it in `reconciler`.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import redis
from pydantic_core import from_json, to_json

from tasks.errors import JobDeletedError, JobExpiredError, JobLostError, JobNotFoundError, SentiqError
from tasks.settings import Settings
from tasks.store.admission import Headroom, admission_request, refusal_error
from tasks.store.connection import connect, store_errors
from tasks.store.idempotency import REMEMBERED_MS, IdempotencyKey, redis_key_of
from tasks.store.ids import JobIds
from tasks.store.keys import (
    COUNTERS,
    OPEN,
    PREFIX,
    UPLOADS,
    WORKERS,
    ChunkRef,
    job_key,
    owner_jobs_key,
    pending_key,
    tombstone_key,
)
from tasks.vocabulary.chunks import Chunk, read_results
from tasks.vocabulary.items import ItemResult
from tasks.vocabulary.jobs import Counts, Job, JobStatus, QueueClass, Terms

PLAIN_TERMS = Terms()
_DAY_MS = 86_400_000
MISSING_REASON: dict[bytes, type[SentiqError]] = {
    b"deleted": JobDeletedError,
    b"expired": JobExpiredError,
    b"lost": JobLostError,
}
# Ids carry the time of the host that minted them: so far its clock may be from Redis's.
_CLOCKS_MS = 300_000
_LUA = Path(__file__).parent / "lua"
_INCLUDES = ("counters", "backlog", "conclude")  # each calls those before it


@dataclass(frozen=True, slots=True)
class Page:
    """Items in input order; `starts` are the indexes where their chunks begin, and the one after them."""

    items: Sequence[ItemResult]
    starts: Sequence[int]

    def chunk_of(self, index: int) -> int:
        """Return the start of the chunk that an index of this page, or the next one, lies in."""
        return max(start for start in self.starts if start <= index)


class JobStore:
    """Records and reads jobs. Every method raises StoreUnavailableError when Redis does not serve."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        # redis-py types every answer as bytes or str or more; here it is what the call documents.
        self.redis: Any = client
        self.settings = settings
        self.headroom = Headroom(client)
        self._scripts = {path.stem: client.register_script(_source(path)) for path in _LUA.glob("*.lua")}

    @classmethod
    def connect(cls, settings: Settings, *, patience: int = 1) -> JobStore:
        """Open the job store that the settings name; see `tasks.store.connection.connect` for patience."""
        return cls(connect(settings, patience=patience), settings)

    @cached_property
    def ids(self) -> JobIds:
        """The mint of this deployment: signs with the secret given, or with one kept beside the jobs."""
        if self.settings.id_secret:
            return JobIds(self.settings.id_secret.get_secret_value().encode())
        with store_errors():
            self.redis.set(PREFIX + "secret", secrets.token_bytes(32), nx=True)
            return JobIds(self.redis.get(PREFIX + "secret") or b"")

    def check(self) -> None:
        """Return when Redis answers and accepts writes."""
        with store_errors():
            self.redis.set(PREFIX + "writable", 1, px=1000)

    def create(
        self,
        chunks: Sequence[Chunk],
        queue_class: QueueClass,
        terms: Terms = PLAIN_TERMS,
        *,
        key: IdempotencyKey | None = None,
        idle_timeout_ms: int | None = None,
    ) -> Job:
        """Record a job with its chunks, before anything is published, and return it.

        It grows if it may be silent for some time. Where `key` made a job before, that one is returned.
        Raises QuotaExceededError, ServiceFullError or StoreFullError when there is no room for it.
        """
        self.headroom.check()
        job_id, options = chunks[0].job_id, chunks[0].options
        total = sum(len(chunk.items) for chunk in chunks)
        terms = replace(terms, options=options).complete(queue_class, self.settings)
        keep_ms, left_ms = 1000 * (terms.result_ttl_s or 0), 1000 * (terms.deadline_s or 0)
        usual = keep_ms == self._keep_ms
        args: list[Any] = [PREFIX, job_id, queue_class, total, left_ms, keep_ms]
        args.append("" if usual else left_ms + max(keep_ms, self._keep_ms) + _DAY_MS)
        args.append(idle_timeout_ms or "")
        args += [key.fingerprint if key else "", idle_timeout_ms or REMEMBERED_MS, to_json(terms.encode())]
        refs, payloads = [ChunkRef.of(chunk) for chunk in chunks], [chunk.encode() for chunk in chunks]
        args += [
            sum(ref.cost for ref in refs),
            admission_request(self.settings, queue_class, terms.owner, payloads),
        ]
        for ref, payload in zip(refs, payloads, strict=True):
            args += [ref.start, str(ref), payload]
        keys = [job_key(job_id), job_key(job_id, "in"), OPEN, pending_key(queue_class), tombstone_key(job_id)]
        keys += [owner_jobs_key(terms.owner), UPLOADS, redis_key_of(key)]
        answer = self.run("create_job", keys, args)
        if key and isinstance(answer, bytes):
            return self.job(key.replays(answer), terms.owner)
        now, ticket = answer
        if isinstance(now, bytes):
            raise refusal_error(now, ticket, self.settings)
        job = Job(job_id, JobStatus.QUEUED, queue_class, Counts(total), now, now + left_ms, terms)
        return replace(job, uploading=idle_timeout_ms is not None, ticket=ticket)

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
        minted = {job_id: self.ids.issued_at_ms(job_id, owner) for job_id in job_ids}
        known = [job_id for job_id, ms in minted.items() if ms is not None]
        with store_errors():
            if len(known) == 1:
                records = {known[0]: self.redis.hgetall(job_key(known[0]))}
            else:
                pipe = self.redis.pipeline(transaction=False)
                for job_id in known:
                    pipe.hgetall(job_key(job_id))
                records = dict(zip(known, pipe.execute(), strict=True))
        return [
            Job.decode(job_id, records[job_id])
            if records.get(job_id)
            else self._explain_missing(job_id, owner, minted[job_id])
            for job_id in job_ids
        ]

    def results(self, job_id: str, start: int, limit: int) -> Page:
        """Read finished chunks in input order from the one that begins at `start`, until `limit` items."""
        read = self.run("read_results", [job_key(job_id, "out")], [start, limit])
        items: list[ItemResult] = []
        starts = [start]
        for chunk_start, payload in pairs(read):
            items += read_results(int(chunk_start), payload)
            starts.append(items[-1].index + 1)
        return Page(items, starts)

    def results_by_completion(self, job_id: str, position: int, chunks: int) -> list[list[ItemResult]]:
        """Read the items of finished chunks in the order in which these ended, from a position in it on."""
        keys = [job_key(job_id, "order"), job_key(job_id, "out")]
        return [
            list(read_results(int(start), payload))
            for start, payload in pairs(self.run("results_by_completion", keys, [position, chunks]))
        ]

    def remembered(self, key: IdempotencyKey) -> str | None:
        """Return the id of the job that a key made, if any; raise what `IdempotencyKey.replays` does."""
        with store_errors():
            known = self.redis.get(key.redis_key)
        return key.replays(known) if known else None

    def models(self) -> list[dict[str, Any]]:
        """Return the models that live workers reported, without repetitions."""
        with store_errors():
            reports = [from_json(raw) for raw in self.redis.hvals(WORKERS)]
        now = self.now_ms()
        alive = [report for report in reports if report["until_ms"] > now]
        return list({to_json(report["model"]): report["model"] for report in alive}.values())

    def now_ms(self) -> int:
        """Redis's clock: the only one that counts."""
        with store_errors():
            seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def run(
        self, script: str, keys: Sequence[str], args: Sequence[Any], pipe: redis.Redis | None = None
    ) -> Any:
        """Run one of the Lua scripts, in a pipeline if one is given."""
        with store_errors():
            return self._scripts[script](keys=keys, args=args, client=pipe)

    def _explain_missing(self, job_id: str, owner: str, issued_at_ms: int | None) -> Job | SentiqError:
        """Why there is no record."""
        if issued_at_ms is None:
            return JobNotFoundError(job_id)
        keys = [job_key(job_id), tombstone_key(job_id), COUNTERS]
        missing_reason = self.run("explain_missing", keys, [issued_at_ms, self._keep_ms, _CLOCKS_MS])
        if missing_reason == b"here":
            return self.jobs([job_id], owner)[0]
        return MISSING_REASON[missing_reason](job_id)

    @property
    def _keep_ms(self) -> int:
        return self.settings.result_ttl_s * 1000


def _source(path: Path) -> str:
    """Return a script behind the shared code."""
    source = path.read_text(encoding="utf-8")
    shared = [_LUA / "include" / f"{name}.lua" for name in _INCLUDES]
    return "".join(other.read_text(encoding="utf-8") for other in shared) + source


def pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Read a flat answer of Redis two by two."""
    return zip(itertools.islice(flat, 0, None, 2), itertools.islice(flat, 1, None, 2), strict=True)
