"""Turns jobs, items and deliveries into bodies of responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flask import request
from pydantic_core import to_json

from api.output.pauses import known_pause_view
from api.output.rounding import rounded
from api.schemas import deliveries, items, jobs, status
from api.schemas.times import rfc3339
from api.waiting.backlog_cache import QueuePosition
from tasks.store.backlog import Backlog
from tasks.store.deliveries import Attempt, DeliveryLog
from tasks.vocabulary.items import ItemError, ItemResult, ItemStatus
from tasks.vocabulary.jobs import Job, JobError
from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import AspectVerdicts, TooManyTokens, Verdict
from tasks.vocabulary.webhooks import Event

_BLOCK_BYTES = 64 * 1024


def job_view(job: Job, position: QueuePosition | None) -> jobs.Job:
    """Return the body of a job; `position` is None if it is finished."""
    counts = job.counts
    return {
        "id": job.id,
        "object": "job",
        "status": job.status,
        "created_at": rfc3339(job.created_ms),
        "started_at": rfc3339(job.started_ms),
        "finished_at": rfc3339(job.finished_ms),
        "not_before": rfc3339(job.terms.not_before_ms),
        "deadline_at": rfc3339(job.deadline_ms),
        "expires_at": rfc3339(job.expires_ms),
        "priority": job.queue.queue_class,
        "counts": {
            "total": counts.total,
            "pending": counts.pending,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "canceled": counts.canceled,
            "timed_out": counts.timed_out,
        },
        "progress": round(1 - counts.pending / counts.total, 4),
        "uploading": job.uploading,
        "paused": known_pause_view(position.pause) if position and position.pause else None,
        "queue": _position_view(position) if position else None,
        "poll_after_ms": position.poll_after_ms if position else None,
        "model_name": job.terms.model,
        "model": _model_view(job.model) if job.model else None,
        "options": _options_view(job.options),
        "deadline_s": job.terms.deadline_s,
        "result_ttl_s": job.terms.result_ttl_s,
        "metadata": job.terms.metadata,
        "retry_of": job.terms.retry_of,
        "shadow_of": job.terms.shadow_of,
        "compare_with": job.terms.compare_with or None,
        "compare_share": job.terms.compare_share if job.terms.compare_with else None,
        "shadow": job.shadow,
        "shadow_error": job.shadow_error,
        "keep_texts": job.terms.keep_texts,
        "summarize_by": job.terms.summarize_by or None,
        "error": _job_error_view(job, job.error) if job.error else None,
        "links": _links_view(job),
    }


def _options_view(options: Options) -> jobs.Options:
    return {
        "on_long_text": options.on_long_text,
        "sentences": options.sentences,
        "explain": options.explain,
        "probabilities": options.probabilities,
        "aspects": [*options.aspects] or None,
    }


def _links_view(job: Job) -> jobs.Links:
    path = f"{request.script_root}/v1/jobs/{job.id}"
    return {
        "self": path,
        "results": f"{path}/results",
        "summary": f"{path}/summary",
        "comparison": f"{path}/comparison" if job.terms.compare_with else None,
        "events": f"{path}/events",
        "cancel": f"{path}/cancel",
        "retry": f"{path}/retry",
        "deliveries": f"{path}/deliveries",
    }


def _position_view(position: QueuePosition) -> jobs.QueuePosition:
    return {"workers": position.workers, "items_ahead": position.items_ahead, "eta_s": position.eta_s}


def _job_error_view(job: Job, error: JobError) -> jobs.JobErrorBody:
    if job.error_line is None:
        return {"code": error, "message": error.message}
    quote = f"The quote that opens in line {job.error_line} is never closed."
    return {"code": error, "message": f"{error.message} {quote}", "line": job.error_line}


def backlog_view(*backlogs: Backlog) -> status.Queue:
    """Return the body of the backlogs of a class: their sum, and the longest wait."""
    rates = [backlog.items_per_s for backlog in backlogs if backlog.items_per_s is not None]
    waits = [backlog.wait_s for backlog in backlogs if backlog.wait_s is not None]
    return {
        "pending_items": sum(backlog.items for backlog in backlogs),
        "deferred_items": sum(backlog.deferred for backlog in backlogs),
        "paused_items": sum(backlog.paused for backlog in backlogs),
        "items_per_s": round(sum(rates), 1) if rates else None,
        "wait_s": round(max(waits), 1) if waits else None,
        "accepting": all(backlog.accepting for backlog in backlogs),
    }


def with_member(body: bytes, name: str, value: bytes) -> bytes:
    """Return a JSON object with one more member, whose value is JSON already."""
    return b'%s,"%s":%s}' % (body[:-1], name.encode(), value)


def json_blocks(
    before: Mapping[str, Any], name: str, members: Iterable[bytes], after: Callable[[], Mapping[str, Any]]
) -> Iterator[bytes]:
    """Yield an object in blocks of about 64 KiB: some members, an array of JSON, and what is known behind it.

    None of its values are read before the block that they are in is asked for.
    """
    block = [b'%s,"%s":[' % (to_json(before)[:-1], name.encode())]
    size, comma = len(block[0]), b""
    for member in members:
        block += (comma, member)
        size, comma = size + len(member), b","
        if size >= _BLOCK_BYTES:
            yield b"".join(block)
            block, size = [], 0
    known = after()
    block.append(b"],%s" % to_json(known)[1:] if known else b"]}")
    yield b"".join(block)


def item_json(item: ItemResult) -> bytes:
    """Return an item as JSON in one line, with its `data` as it came."""
    body = to_json(item_view(item))
    return with_member(body, "data", one_line(item.data)) if item.data else body


def one_line(data: bytes) -> bytes:
    """Return JSON without line breaks, which stand only between its parts."""
    return data.replace(b"\n", b" ").replace(b"\r", b" ")


def item_view(item: ItemResult) -> items.Item:
    """Return the body of an item without its `data`."""
    end = item.outcome
    view: items.Item
    if isinstance(end, Verdict):
        view = _scored_view(item, end)
    elif isinstance(end, AspectVerdicts):
        view = _aspects_view(item, end)
    else:
        view = _failed_view(item, end)
    if item.text is not None:
        view["text"] = item.text
    if item.source_index is not None:
        view["source_index"] = item.source_index
    return view


def error_view(error: ItemError | TooManyTokens, line: int | None = None) -> items.ItemErrorBody:
    """Return the body of an item's error; `line` is where its row begins, in the upload."""
    if isinstance(error, TooManyTokens):
        message = f"The text has {error.tokens} tokens; the model reads at most {error.limit} at once."
        return {"code": ItemError.TEXT_TOO_LONG, "message": message}
    if line is not None:
        return {"code": error, "message": f"{error.message} The row begins in line {line}.", "line": line}
    return {"code": error, "message": error.message}


def prediction_view(text: str, item: ItemResult) -> items.Prediction:
    """Return the body of a prediction."""
    if isinstance(item.outcome, ItemError | TooManyTokens):
        error = error_view(item.outcome)
        return {"text": text, "sentiment": None, "emoji": None, "confidence": None, "error": error}
    verdict = item.outcome.verdicts[0]
    return {
        "text": text,
        "sentiment": verdict.named.label_en,
        "emoji": verdict.named.face,
        "confidence": rounded(verdict.confidence),
    }


def _failed_view(item: ItemResult, error: ItemError | TooManyTokens) -> items.FailedItem:
    return {
        "index": item.index,
        "id": item.id,
        "status": error.status if isinstance(error, ItemError) else ItemStatus.FAILED,
        "chars": item.chars,
        "attempts": item.attempts,
        "error": error_view(error, item.line),
    }


def _aspects_view(item: ItemResult, verdicts: AspectVerdicts) -> items.AspectsItem:
    return {
        "index": item.index,
        "id": item.id,
        "status": ItemStatus.SUCCEEDED,
        "aspects": [_aspect_view(*each) for each in verdicts.aspects],
        "unfamiliar": verdicts.unfamiliar,
        "truncated": verdicts.truncated,
        "tokens": verdicts.tokens,
        "text_tokens": verdicts.text_tokens,
        "chars": item.chars,
        "cached": verdicts.cached,
        "attempts": item.attempts,
        "model": item.model,
        "error": None,
    }


def _aspect_view(aspect: str, verdict: Verdict) -> items.AspectVerdict:
    view = _verdict_view(verdict)
    return {
        "aspect": aspect,
        "label": view["label"],
        "label_zh": view["label_zh"],
        "confidence": view["confidence"],
        "probabilities": view["probabilities"],
        "score": view["score"],
        "uncertain": view["uncertain"],
    }


def _scored_view(item: ItemResult, verdict: Verdict) -> items.ScoredItem:
    view: items.ScoredItem = {
        "index": item.index,
        "id": item.id,
        "status": ItemStatus.SUCCEEDED,
        **_verdict_view(verdict),  # type: ignore[typeddict-item]  # mypy assumes that it hides optional members
        "chars": item.chars,
        "cached": verdict.cached,
        "attempts": item.attempts,
        "model": item.model,
        "error": None,
    }
    if verdict.sentences is not None:
        view["sentences"] = [
            {"start": each.start, "end": each.end, **_verdict_view(each.verdict)}
            for each in verdict.sentences
        ]
    if verdict.highlights is not None:
        view["highlights"] = [
            {"start": each.start, "end": each.end, "weight": each.weight} for each in verdict.highlights
        ]
    return view


def _model_view(model: Mapping[str, str]) -> jobs.Model:
    return {"id": model["id"], "revision": model["revision"], "engine": model["engine"]}


def _verdict_view(verdict: Verdict) -> items.VerdictBody:
    named, shown = verdict.named, verdict.probabilities
    return {
        "label": named.id,
        "label_zh": named.label_zh,
        "confidence": rounded(verdict.confidence),
        "positive_prob": rounded(verdict.positive_prob),
        "negative_prob": rounded(verdict.negative_prob),
        "probabilities": shown and {name: rounded(each) for name, each in shown.items()},
        "score": rounded(verdict.score),
        "uncertain": verdict.uncertain,
        "unfamiliar": verdict.unfamiliar,
        "truncated": verdict.truncated,
        "tokens": verdict.tokens,
        "text_tokens": verdict.text_tokens,
    }


def delivery_view(delivery: DeliveryLog) -> deliveries.Delivery:
    """Return the body of a delivery."""
    return {
        "id": delivery.message_id,
        "object": "delivery",
        "event": Event(delivery.event),
        "url": delivery.url,
        "status": delivery.status,
        "attempts": [_attempt_view(attempt) for attempt in delivery.attempts],
        "next_attempt_at": rfc3339(delivery.next_ms),
    }


def _attempt_view(attempt: Attempt) -> deliveries.Attempt:
    return {
        "number": attempt.number,
        "at": rfc3339(attempt.at_ms),
        "status_code": attempt.status_code,
        "error": attempt.error,
        "duration_ms": attempt.duration_ms,
    }
