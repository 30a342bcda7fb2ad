"""How jobs and items look outside."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import url_for

from api.services import services
from tasks.items import ItemError, ItemResult
from tasks.jobs import Job, JobError
from tasks.queues import Queue
from tasks.verdicts import TooManyTokens, Verdict

EMOJI = {"positive": "😊", "negative": "😠"}
LABEL_ZH = {"positive": "正面", "negative": "负面"}
ERROR_MESSAGES = {
    ItemError.EMPTY_TEXT: "The text is empty.",
    ItemError.TEXT_TOO_LONG: "The text is longer than the service accepts.",
    ItemError.INVALID_LINE: "The line is too long, or neither a JSON string nor an object with a text.",
    ItemError.INVALID_ENCODING: "The line is not UTF-8.",
    ItemError.INFERENCE_FAILED: "The model could not score this text.",
    ItemError.WORKER_LOST: "The worker died each time it tried this text.",
    ItemError.ATTEMPTS_EXHAUSTED: "No attempt at this text came to an end in time.",
    ItemError.DEADLINE_EXCEEDED: "The job's deadline passed before this text was scored.",
    ItemError.CANCELED: "The job was canceled before this text was scored.",
}
JOB_ERRORS = {
    JobError.UPLOAD_INCOMPLETE: "The upload ended early: the job is what had arrived.",
}
ITEM_COLUMNS = [
    *("index", "id", "status", "label", "label_zh", "confidence", "positive_prob", "negative_prob", "score"),
    *("uncertain", "truncated", "chars", "tokens", "attempts", "error_code", "error_message"),
]
_DIGITS = 6
_LINKED = ("results", "events", "cancel", "retry", "deliveries")


def job_view(job: Job) -> dict[str, Any]:
    """Return the job as the API shows it."""
    counts, path = job.counts, url_for("jobs.read", job_id=job.id)
    queues = services().queues
    place = queues.place(job)
    return {
        "id": job.id,
        "object": "job",
        "status": job.status,
        "created_at": rfc3339(job.created_ms),
        "started_at": rfc3339(job.started_ms),
        "finished_at": rfc3339(job.finished_ms),
        "deadline_at": rfc3339(job.deadline_ms),
        "expires_at": rfc3339(job.expires_ms),
        "priority": job.queue_class,
        "counts": {
            "total": counts.total,
            "pending": counts.pending,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "canceled": counts.canceled,
            "timed_out": counts.timed_out,
        },
        "progress": round(1 - counts.pending / counts.total, 4),
        "queue": None if place is None else asdict(place),
        "poll_after_ms": queues.poll_after_ms(job),
        "model": job.model,
        "options": asdict(job.options),
        "deadline_s": job.terms.deadline_s,
        "result_ttl_s": job.terms.result_ttl_s,
        "metadata": job.terms.metadata,
        "retry_of": job.terms.retry_of,
        "error": {"code": job.error, "message": JOB_ERRORS[job.error]} if job.error else None,
        "links": {"self": path} | {name: f"{path}/{name}" for name in _LINKED},
    }


def queue_view(queue: Queue) -> dict[str, Any]:
    """Return a queue as the API shows it."""
    return {
        "pending_items": queue.items,
        "items_per_s": None if queue.items_per_s is None else round(queue.items_per_s, 1),
        "wait_s": None if queue.wait_s is None else round(queue.wait_s, 1),
        "accepting": queue.accepting,
    }


def item_view(item: ItemResult) -> dict[str, Any]:
    """Return one item as the API shows it."""
    view: dict[str, Any] = {"index": item.index, "id": item.id, "status": item.status}
    if isinstance(item.outcome, Verdict):
        view |= _verdict_view(item.outcome) | _details_view(item.outcome)
    view |= {"chars": item.chars, "attempts": item.attempts, "error": None}
    if not isinstance(item.outcome, Verdict):
        view["error"] = error_view(item.outcome)
    return view


def item_row(item: ItemResult) -> list[object]:
    """Return one item as a row under ITEM_COLUMNS."""
    view = item_view(item)
    error = view.pop("error") or {"code": None, "message": None}
    view |= {f"error_{name}": value for name, value in error.items()}
    return [
        str(value).lower() if isinstance(value := view.get(name), bool) else value for name in ITEM_COLUMNS
    ]


def error_view(error: ItemError | TooManyTokens) -> dict[str, str]:
    """Return an item's error as the API shows it."""
    if isinstance(error, TooManyTokens):
        message = f"The text has {error.tokens} tokens; the model reads at most {error.limit} at once."
        return {"code": ItemError.TEXT_TOO_LONG, "message": message}
    return {"code": error, "message": ERROR_MESSAGES[error]}


def prediction_view(text: str, item: ItemResult) -> dict[str, Any]:
    """Return one answer of /predict and /predict_batch."""
    if not isinstance(item.outcome, Verdict):
        return {"text": text, "sentiment": None, "emoji": None, "confidence": None} | {
            "error": error_view(item.outcome)
        }
    return {
        "text": text,
        "sentiment": item.outcome.label.capitalize(),
        "emoji": EMOJI[item.outcome.label],
        "confidence": round(item.outcome.confidence, _DIGITS),
    }


def _verdict_view(verdict: Verdict) -> dict[str, Any]:
    return {
        "label": verdict.label,
        "label_zh": LABEL_ZH[verdict.label],
        "confidence": round(verdict.confidence, _DIGITS),
        "positive_prob": round(verdict.positive_prob, _DIGITS),
        "negative_prob": round(verdict.negative_prob, _DIGITS),
        "score": round(verdict.score, _DIGITS),
        "uncertain": verdict.uncertain,
        "truncated": verdict.truncated,
        "tokens": verdict.tokens,
        "text_tokens": verdict.text_tokens,
    }


def _details_view(verdict: Verdict) -> dict[str, Any]:
    """What options add to a verdict, where they were given."""
    view: dict[str, Any] = {}
    if verdict.sentences is not None:
        view["sentences"] = [
            {"start": each.start, "end": each.end, **_verdict_view(each.verdict)}
            for each in verdict.sentences
        ]
    if verdict.highlights is not None:
        view["highlights"] = [asdict(each) for each in verdict.highlights]
    return view


def rfc3339(ms: int | None) -> str | None:
    """Write a time of the ledger as the API shows it."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
