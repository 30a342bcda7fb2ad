"""Metrics by API key: what the jobs of each used, for as many keys as a time series database should hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from tasks.store.jobs import JobStore
from tasks.store.usage import total_usage, usage_owners
from tasks.vocabulary.usage import Usage

# Keys with series of their own: the first that had outcomes, so that no sum ever moves or falls.
MAX_KEYS = 50
OTHER, KEYLESS = "other", "none"
_METRICS = {
    "items": ("items", "Items of the key that ended", 1.0),
    "errors": ("errors", "Items of the key that ended with an error", 1.0),
    "characters": ("characters", "Characters of the key's texts that were scored", 1.0),
    "tokens": ("tokens", "Tokens of the key's texts that were scored", 1.0),
    "model_ms": ("model_seconds", "Time of the model for the key's texts", 0.001),
}


def read_usage_by_key(store: JobStore) -> Mapping[str, Usage]:
    """Return the sums of the first `MAX_KEYS` keys, and of all others as `other`."""
    sums: dict[str, Usage] = {}
    for number, (owner, usage) in enumerate(total_usage(store, usage_owners(store)).items()):
        label = (owner or KEYLESS) if number < MAX_KEYS else OTHER
        sums[label] = sums.get(label, Usage()) + usage
    return sums


def key_metrics(sums: Mapping[str, Usage]) -> Iterator[Metric]:
    """Yield the counters by key."""
    for field, (name, help_text, unit) in _METRICS.items():
        yield _family(name, help_text, ((key, getattr(usage, field) * unit) for key, usage in sums.items()))


def _family(name: str, help_text: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = CounterMetricFamily(f"sentiq_key_{name}", help_text, labels=("key",))
    for key, value in values:
        family.add_metric([key], value)
    return family
