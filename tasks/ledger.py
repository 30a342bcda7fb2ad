"""The ledger: what was accepted, what is leased, what is done. The only truth about a job.

Every change is one Lua script, so that no crash leaves half of it; times are Redis's own, so that no
machine's clock matters. What children do to it is in `tasks.leases`, what mends it in `tasks.reconciler`.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import redis
from pydantic_core import from_json, to_json

from tasks.chunks import Chunk, read_results
from tasks.errors import JobExpiredError, JobLostError, JobNotFoundError
from tasks.ids import IdMint
from tasks.jobs import Counts, ItemResult, Job, JobStatus, QueueClass
from tasks.options import Options
from tasks.redis_client import connect, ledger_errors
from tasks.refs import OPEN, PREFIX, WORKERS, Ref, job_key, pending
from tasks.settings import Settings

# Ids carry the time of the host that minted them: so far its clock may be from Redis's.
_CLOCKS_MS = 300_000
_LUA = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Page:
    """Items in input order; `starts` are the indexes where their chunks begin, and the one after them."""

    items: Sequence[ItemResult]
    starts: Sequence[int]

    def chunk_of(self, index: int) -> int:
        """Return the start of the chunk that an index of this page, or the next one, lies in."""
        return max(start for start in self.starts if start <= index)


class Ledger:
    """Records and reads jobs. Every method raises LedgerUnavailableError when Redis does not serve."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        # redis-py types every answer as bytes or str or more; here it is what the call documents.
        self.redis: Any = client
        self.settings = settings
        self._scripts = {
            path.stem: client.register_script(path.read_text(encoding="utf-8")) for path in _LUA.glob("*.lua")
        }

    @classmethod
    def connect(cls, settings: Settings, *, patience: int = 1) -> Ledger:
        """Open the ledger that the settings name; see `tasks.redis_client.connect` for patience."""
        return cls(connect(settings, patience=patience), settings)

    @cached_property
    def ids(self) -> IdMint:
        """The mint of this deployment: signs with the secret given, or with one kept beside the jobs."""
        if self.settings.id_secret:
            return IdMint(self.settings.id_secret.get_secret_value().encode())
        with ledger_errors():
            self.redis.set(PREFIX + "secret", secrets.token_bytes(32), nx=True)
            return IdMint(self.redis.get(PREFIX + "secret") or b"")

    def check(self) -> None:
        """Return when Redis answers and accepts writes."""
        with ledger_errors():
            self.redis.set(PREFIX + "writable", 1, px=1000)

    def create(self, chunks: Sequence[Chunk], queue_class: QueueClass) -> tuple[Job, list[Ref]]:
        """Record a job with all its chunks, before anything is published; return it and what to ring for."""
        job_id, refs = chunks[0].job_id, [Ref.of(chunk) for chunk in chunks]
        options, written = chunks[0].options, chunks[0].options.encode()
        total = sum(len(chunk.items) for chunk in chunks)
        left_ms = self._deadline_ms(queue_class)
        args: list[Any] = [job_id, queue_class, total, left_ms, self._keep_ms]
        args.append(to_json(written) if written else "")
        for ref, chunk in zip(refs, chunks, strict=True):
            args += [ref.start, str(ref), chunk.encode()]
        keys = [job_key(job_id), job_key(job_id, "in"), OPEN, pending(queue_class)]
        now = self.run("create", keys, args)
        counts = Counts(total)
        job = Job(job_id, JobStatus.QUEUED, queue_class, counts, now, now + left_ms, options=options)
        return job, refs

    def job(self, job_id: str) -> Job:
        """Read a record. Raises JobNotFoundError, JobExpiredError or JobLostError when there is none."""
        minted_ms = self.ids.minted_ms(job_id)
        if minted_ms is None:
            raise JobNotFoundError(job_id)
        with ledger_errors():
            raw: dict[bytes, bytes] = self.redis.hgetall(job_key(job_id))
        if raw:
            return _read_job(job_id, raw)
        if self.now_ms() - minted_ms > self._keep_ms - _CLOCKS_MS:
            raise JobExpiredError(job_id)
        raise JobLostError(job_id)

    def results(self, job_id: str, start: int, limit: int) -> Page:
        """Read finished chunks in input order from the one that begins at `start`, until `limit` items."""
        read = self.run("results", [job_key(job_id, "out")], [start, limit])
        items: list[ItemResult] = []
        starts = [start]
        for chunk_start, payload in pairs(read):
            items += read_results(int(chunk_start), payload)
            starts.append(items[-1].index + 1)
        return Page(items, starts)

    def models(self) -> list[dict[str, Any]]:
        """Return the models that live workers reported, without repetitions."""
        with ledger_errors():
            reports = [from_json(raw) for raw in self.redis.hvals(WORKERS)]
        now = self.now_ms()
        alive = [report for report in reports if report["until_ms"] > now]
        return list({to_json(report["model"]): report["model"] for report in alive}.values())

    def now_ms(self) -> int:
        """Redis's clock: the only one that counts."""
        with ledger_errors():
            seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def run(
        self, script: str, keys: Sequence[str], args: Sequence[Any], pipe: redis.Redis | None = None
    ) -> Any:
        """Run one of the Lua scripts, in a pipeline if one is given."""
        with ledger_errors():
            return self._scripts[script](keys=keys, args=args, client=pipe)

    def _deadline_ms(self, queue_class: QueueClass) -> int:
        bulk = queue_class is QueueClass.BULK
        return 1000 * (self.settings.deadline_bulk_s if bulk else self.settings.deadline_interactive_s)

    @property
    def _keep_ms(self) -> int:
        return self.settings.result_ttl_s * 1000


def pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Read a flat answer of Redis two by two."""
    return zip(itertools.islice(flat, 0, None, 2), itertools.islice(flat, 1, None, 2), strict=True)


def _read_job(job_id: str, raw: dict[bytes, bytes]) -> Job:
    def number(name: str) -> int:
        return int(raw.get(name.encode(), 0))

    counts = Counts(number("total"), number("succeeded"), number("failed"), number("timed_out"))
    model = raw.get(b"model")
    return Job(
        id=job_id,
        status=JobStatus(raw[b"status"].decode()),
        queue_class=QueueClass(raw[b"class"].decode()),
        counts=counts,
        created_ms=number("created"),
        deadline_ms=number("deadline"),
        started_ms=number("started") or None,
        finished_ms=number("finished") or None,
        expires_ms=number("expires") or None,
        model=from_json(model) if model else None,
        options=Options.decode(from_json(raw.get(b"options", b"{}"))),
    )
