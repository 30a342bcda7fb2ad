"""Turns the summary of a job into the body of a response."""

from __future__ import annotations

from collections.abc import Iterable

from api.output.rounding import rounded
from api.schemas import summaries
from tasks.store.summaries import Summary
from tasks.vocabulary.jobs import Job
from tasks.vocabulary.labels import Label
from tasks.vocabulary.tallies import Tally


def summary_view(job: Job, summary: Summary, *, by_value: bool) -> summaries.Summary:
    """Return the body of a summary; `by_value`: with the values of the field that it is summarised by."""
    labels = summary.labels.values()
    counted = bool(summary.aspects)
    groups: list[summaries.GroupTally] = [
        {"value": value, **_tally_view(tally, labels)} for value, tally in summary.groups
    ]
    return {
        "object": "summary",
        "job_id": job.id,
        "status": job.status,
        "complete": job.counts.pending == 0 and not job.uploading,
        "summarize_by": job.terms.summarize_by or None,
        **_tally_view(summary.total, labels),
        "error_codes": summary.errors,
        "groups": groups if by_value else None,
        "other": _tally_view(summary.other, labels) if by_value else None,
        "aspects": _aspects_view(job, summary) if counted else None,
        "other_aspects": _tally_view(summary.other_aspects, labels) if counted else None,
    }


def _aspects_view(job: Job, summary: Summary) -> list[summaries.AspectTally]:
    """Return the tallies of aspects: those of the job in its order, then those of single items."""
    order = {aspect: number for number, aspect in enumerate(job.options.aspects)}
    aspects = sorted(summary.aspects, key=lambda counted: order.get(counted[0], len(order)))
    labels = summary.labels.values()
    return [{"aspect": aspect, **_tally_view(tally, labels)} for aspect, tally in aspects]


def _tally_view(tally: Tally, labels: Iterable[Label]) -> summaries.Tally:
    return {
        "items": tally.items,
        "labels": [_label_view(label, tally) for label in labels],
        "mean_score": rounded(tally.mean_score),
        "uncertain": tally.uncertain,
        "uncertain_share": _share(tally.uncertain, tally.verdicts),
        "truncated": tally.truncated,
        "truncated_share": _share(tally.truncated, tally.verdicts),
        "errors": tally.errors,
        "error_share": _share(tally.errors, tally.items),
        "confidence": tally.confidence,
    }


def _label_view(label: Label, tally: Tally) -> summaries.LabelCount:
    items = tally.labels.get(label.id, 0)
    share = _share(items, sum(tally.labels.values()))
    return {"label": label.id, "label_zh": label.label_zh, "items": items, "share": share}


def _share(part: int, whole: int) -> float | None:
    return rounded(part / whole) if whole else None
