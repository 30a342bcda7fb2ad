"""The trial: both graphs over the same texts, and which of them the pack will serve."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.batches import Row
from worker.packs import Pack
from worker.packs.calibration import find_uncertain_below, fit_temperature
from worker.packs.measure import (
    Drift,
    Logits,
    batch_invariant,
    drift,
    load_batches,
    positive,
    score,
    speed_ratio,
)

DIGITS = 6

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One graph, loaded, and what it answered."""

    pack: Pack
    logits: Logits
    invariant: bool

    @property
    def graph_bytes(self) -> int:
        """Size of the graph's files."""
        return sum(self.pack.path(name).stat().st_size for name in ("model.xml", "model.bin"))


def choose(
    exact: Pack, quantised: Pack, rows: Sequence[Row], labels: Sequence[int], min_agreement: float
) -> Pack:
    """The pack to serve, measured: int8 unless it strays from fp32, or a text's neighbours change its answer.

    `labels` (1 = positive), one a row or none, also give accuracy, temperature and `uncertain_below`.
    """
    batches = {pack.precision: load_batches(pack) for pack in (exact, quantised)}
    logger.info("measuring both graphs on %d texts", len(rows))
    tried = {
        pack.precision: Candidate(
            pack,
            score(batches[pack.precision], rows, pack.precision),
            batch_invariant(batches[pack.precision], rows),
        )
        for pack in (exact, quantised)
    }
    apart = drift(tried["fp32"].logits, tried["int8"].logits)
    precision, reason = judge(apart, tried["int8"], min_agreement)
    chosen = tried[precision]
    measured: dict[str, float] = {
        "texts": len(rows),
        "agreement_with_fp32": apart.agreement,
        "mean_probability_drift": apart.mean,
        "max_probability_drift": apart.most,
        "batch_invariant": chosen.invariant,
        "fp32_bytes": tried["fp32"].graph_bytes,
        "int8_bytes": tried["int8"].graph_bytes,
        "speed_ratio": speed_ratio(batches["fp32"], batches["int8"], rows),
    }
    pack = replace(chosen.pack, reason=reason)
    if labels:
        truth = np.array(labels, np.int64)
        measured |= {f"dev_accuracy_{name}": _accuracy(one.logits, truth) for name, one in tried.items()}
        measured["dev_accuracy"] = measured[f"dev_accuracy_{precision}"]
        pack = _calibrated(pack, chosen.logits, truth)
    return replace(pack, measured={name: _rounded(value) for name, value in measured.items()})


def judge(apart: Drift, quantised: Candidate, min_agreement: float) -> tuple[str, str]:
    """The precision to serve, and why."""
    share = f"{apart.agreement:.2%} of {len(quantised.logits)} texts"
    if apart.agreement < min_agreement:
        return "fp32", f"int8 gives the label of fp32 to only {share}; {min_agreement:.2%} were asked for"
    if not quantised.invariant:
        return "fp32", "int8 answers differently for a text alone and in a batch"
    return "int8", f"int8 gives the label of fp32 to {share}"


def _calibrated(pack: Pack, logits: Logits, labels: NDArray[np.int64]) -> Pack:
    temperature = fit_temperature(logits, labels)
    probabilities = positive(logits, temperature)
    confidence = np.maximum(probabilities, 1 - probabilities)
    uncertain_below = find_uncertain_below(confidence, (logits >= 0) == (labels == 1))
    return replace(pack, temperature=temperature, uncertain_below=uncertain_below)


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, DIGITS)


def _accuracy(logits: Logits, labels: NDArray[np.int64]) -> float:
    return float(np.mean((logits >= 0) == (labels == 1)))
