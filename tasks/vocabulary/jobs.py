"""A job: its states, counts, terms and record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic_core import from_json, to_json

from tasks.vocabulary.key_limits import SERVICE_LIMITS, KeyLimits
from tasks.vocabulary.options import PLAIN, Options
from tasks.vocabulary.webhooks import Webhook

DEFAULT_COMPARE_SHARE = 0.01


class JobStatus(StrEnum):
    """The state of a job. Terminal states are final."""

    QUEUED = "queued"  # recorded; no child has leased any of it
    RUNNING = "running"  # at least one chunk was leased
    SUCCEEDED = "succeeded"  # every item has a verdict
    PARTIAL = "partial"  # some items have a verdict, some failed
    FAILED = "failed"  # no item has a verdict
    CANCELING = "canceling"  # canceled, but children still hold some of it
    CANCELED = "canceled"  # canceled before every item was done
    TIMED_OUT = "timed_out"  # the deadline passed before every item was done

    @property
    def terminal(self) -> bool:
        """Return whether the job is finished: nothing about it changes any more."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELING)


class JobError(StrEnum):
    """What went wrong with a job as a whole, beside the outcomes of its items."""

    UPLOAD_INCOMPLETE = "upload_incomplete"  # the upload ended early: the job holds what arrived

    @property
    def message(self) -> str:
        """The error in a sentence, for people."""
        return _MESSAGES[self]


_MESSAGES = {
    JobError.UPLOAD_INCOMPLETE: "The upload ended early: the job is what had arrived.",
}


class QueueClass(StrEnum):
    """Small jobs are interactive, so that they do not wait behind large ones."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Queue:
    """The work of one class for one model."""

    model: str
    queue_class: QueueClass

    @classmethod
    def parse(cls, raw: bytes) -> Queue:
        """Read what `str` wrote."""
        model, _, queue_class = raw.decode().partition(":")
        return cls(model, QueueClass(queue_class))

    @classmethod
    def all_of(cls, model: str) -> list[Queue]:
        """Return the queues of a model."""
        return [cls(model, queue_class) for queue_class in QueueClass]

    def __str__(self) -> str:
        """Write it as keys and records name it."""
        return f"{self.model}:{self.queue_class}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Items of a job by outcome."""

    total: int
    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0
    canceled: int = 0

    @property
    def pending(self) -> int:
        """Return the items without an outcome yet."""
        return self.total - self.succeeded - self.failed - self.timed_out - self.canceled


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job is submitted with beside its texts. None stands for the default of the service.

    `model` is the name of a model, empty for the default. `columns` are those of the caller, in order, where
    rows were uploaded: the fields of each item's `data`.
    `limits` are those of the owner's key now, which no record keeps.
    With `keep_texts` results hold the texts too. `compare_with` is the name of a second model, which scores a
    `compare_share` of the items in another job; the terms of that job name this one as `shadow_of`.
    `trace` is the W3C traceparent of the request's admission, where that is traced.
    Nothing is leased before `not_before_ms`, in ms since the epoch, and the deadline counts from then.
    """

    options: Options = PLAIN
    queue_class: QueueClass | None = None
    deadline_s: int | None = None
    result_ttl_s: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    retry_of: str | None = None
    request_id: str = ""  # for logs
    webhook: Webhook | None = None
    model: str = ""
    summarize_by: str = ""  # a field of `data`
    columns: tuple[str, ...] = ()
    keep_texts: bool = False
    compare_with: str = ""
    compare_share: float = DEFAULT_COMPARE_SHARE
    shadow_of: str | None = None
    limits: KeyLimits = SERVICE_LIMITS
    trace: str = ""
    not_before_ms: int | None = None

    @property
    def queue(self) -> Queue:
        """Return the queue of the job; bulk if it has no class."""
        return Queue(self.model, self.queue_class or QueueClass.BULK)

    def waits(self, now_s: float) -> bool:
        """Return whether nothing may be leased yet at a time, in seconds since the epoch."""
        return (self.not_before_ms or 0) > now_s * 1000

    def encode(self) -> dict[str, bytes]:
        """Return the fields that a record keeps as they are: only those that differ from the defaults."""
        fields = {
            "options": to_json(self.options.encode()) if self.options != PLAIN else b"",
            "metadata": to_json(self.metadata) if self.metadata else b"",
            "owner": self.owner.encode(),
            "retry_of": (self.retry_of or "").encode(),
            "request": self.request_id.encode(),
            "webhook": self.webhook.encode() if self.webhook else b"",
            "summarize_by": self.summarize_by.encode(),
            "columns": to_json(self.columns) if self.columns else b"",
            "keep_texts": b"1" if self.keep_texts else b"",
            "compare_with": self.compare_with.encode(),
            "compare_share": to_json(self.compare_share) if self.compare_with else b"",
            "shadow_of": (self.shadow_of or "").encode(),
            "trace": self.trace.encode(),
            "not_before": str(self.not_before_ms or "").encode(),
        }
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def decode(cls, raw: Mapping[bytes, bytes]) -> Terms:
        """Read the terms out of a record."""
        queue = Queue.parse(raw[b"queue"])
        return cls(
            options=Options.decode(from_json(raw.get(b"options", b"{}"))),
            queue_class=queue.queue_class,
            deadline_s=(_deadline_ms(raw) - int(raw.get(b"paused_ms", 0)) - _starts_ms(raw)) // 1000,
            result_ttl_s=int(raw[b"ttl"]) // 1000,
            metadata=from_json(raw.get(b"metadata", b"{}")),
            owner=raw.get(b"owner", b"").decode(),
            retry_of=raw[b"retry_of"].decode() if b"retry_of" in raw else None,
            request_id=raw.get(b"request", b"").decode(),
            webhook=Webhook.decode(raw[b"webhook"]) if b"webhook" in raw else None,
            model=queue.model,
            summarize_by=raw.get(b"summarize_by", b"").decode(),
            columns=tuple(from_json(raw.get(b"columns", b"[]"))),
            keep_texts=b"keep_texts" in raw,
            compare_with=raw.get(b"compare_with", b"").decode(),
            compare_share=float(raw.get(b"compare_share", DEFAULT_COMPARE_SHARE)),
            shadow_of=raw[b"shadow_of"].decode() if b"shadow_of" in raw else None,
            trace=raw.get(b"trace", b"").decode(),
            not_before_ms=int(raw[b"not_before"]) if b"not_before" in raw else None,
        )


def _starts_ms(raw: Mapping[bytes, bytes]) -> int:
    """Return when the deadline of a record began to count."""
    return max(int(raw[b"created"]), int(raw.get(b"not_before", 0)))


def _deadline_ms(raw: Mapping[bytes, bytes]) -> int:
    """Return the deadline of a record; while it stands still, the one that the job had before."""
    return int(raw.get(b"paused_deadline", raw[b"deadline"]))


@dataclass(frozen=True, slots=True)
class Job:
    """The record of a job. Times are Redis's, in milliseconds since the epoch.

    Since `paused_ms` its deadline stands still, and moves on by that time when the job is resumed.
    """

    id: str
    status: JobStatus
    queue: Queue
    counts: Counts
    created_ms: int
    deadline_ms: int
    terms: Terms
    started_ms: int | None = None
    finished_ms: int | None = None
    expires_ms: int | None = None
    model: dict[str, str] | None = None
    uploading: bool = False
    place: int | None = None  # how many items have left its owner's line when its first item has its turn
    error: JobError | None = None
    error_line: int | None = None  # the line of the upload that the error is about
    shadow: str | None = None  # the job in which the second model scores a sample
    shadow_error: str | None = None  # why there is no shadow, or only a part of one
    paused_ms: int | None = None

    @property
    def held_up(self) -> bool:
        """Return whether it is paused before anything of it was begun."""
        return self.paused_ms is not None and self.status is JobStatus.QUEUED

    @property
    def options(self) -> Options:
        """Return what it asks of its texts."""
        return self.terms.options

    @classmethod
    def recorded(cls, job_id: str, terms: Terms, total: int, now_ms: int) -> Job:
        """Return a job as it is recorded; its terms have a model, a class and a deadline."""
        return cls(
            id=job_id,
            status=JobStatus.QUEUED,
            queue=terms.queue,
            counts=Counts(total),
            created_ms=now_ms,
            deadline_ms=max(now_ms, terms.not_before_ms or 0) + 1000 * (terms.deadline_s or 0),
            terms=terms,
        )

    @classmethod
    def decode(cls, job_id: str, raw: Mapping[bytes, bytes]) -> Job:
        """Read a record as Redis holds it."""

        def number(name: str) -> int:
            return int(raw.get(name.encode(), 0))

        terms, counted = Terms.decode(raw), ("total", "succeeded", "failed", "timed_out", "canceled")
        return cls(
            id=job_id,
            status=JobStatus(raw[b"status"].decode()),
            queue=terms.queue,
            counts=Counts(*map(number, counted)),
            created_ms=number("created"),
            deadline_ms=_deadline_ms(raw),
            terms=terms,
            started_ms=number("started") or None,
            finished_ms=number("finished") or None,
            expires_ms=number("expires") or None,
            model=from_json(raw[b"model"]) if b"model" in raw else None,
            uploading=b"uploading" in raw,
            place=int(raw[b"place"]) if b"place" in raw else None,
            error=JobError(raw[b"error"].decode()) if b"error" in raw else None,
            error_line=number("error_line") or None,
            shadow=raw[b"shadow"].decode() if b"shadow" in raw else None,
            shadow_error=raw[b"shadow_error"].decode() if b"shadow_error" in raw else None,
            paused_ms=number("paused_at") or None,
        )
