"""Turns the comparison of a job with its shadow into the body of a response."""

from __future__ import annotations

from api.output.rounding import rounded
from api.schemas import comparisons
from tasks.errors import SentiqError
from tasks.vocabulary import comparisons as compared
from tasks.vocabulary.jobs import Job


def comparison_view(
    job: Job, shadow: Job | SentiqError | None, comparison: compared.Comparison
) -> comparisons.Comparison:
    """Return the body of a comparison; `shadow` may be the error that says why it is gone."""
    found = shadow if isinstance(shadow, Job) else None
    gone = shadow.code if isinstance(shadow, SentiqError) else None
    return {
        "object": "comparison",
        "job_id": job.id,
        "status": job.status,
        "complete": job.status.terminal and (found is None or found.status.terminal),
        "model_name": job.terms.model,
        "compare_with": job.terms.compare_with,
        "compare_share": job.terms.compare_share,
        "shadow": job.shadow,
        "shadow_status": found.status if found else None,
        "shadow_error": gone or job.shadow_error,
        "sampled": found.counts.total if found else 0,
        "compared": comparison.compared,
        "agreed": comparison.agreed,
        "agreement": rounded(comparison.agreed / comparison.compared) if comparison.compared else None,
        "mean_score_difference": rounded(comparison.mean_score_difference),
        "labels": [
            {"label": label, "other_label": other, "items": items}
            for (label, other), items in sorted(comparison.pairs.items())
        ],
        "differences": [_difference_view(difference) for difference in comparison.differences],
    }


def _difference_view(difference: compared.Difference) -> comparisons.Difference:
    answer, other = difference.answer, difference.other
    return {
        "index": difference.index,
        "id": difference.id,
        "label": answer.label,
        "confidence": rounded(answer.confidence),
        "other_label": other.label,
        "other_confidence": rounded(other.confidence),
    }
