"""Evaluate the fp32 and the int8 graph over the same texts, and select the one that the pack serves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from worker.evaluate.measures import confusion_matrix, f1_scores
from worker.packing.calibration import fit_temperature, fit_uncertain_below
from worker.packing.comparison import (
    Drift,
    Logits,
    batch_invariant,
    load_batches,
    measure_drift,
    predicted,
    score,
    softmax,
    speed_ratio,
)
from worker.packs.pack import Pack
from worker.scoring.batches import Batches, Row

DIGITS = 6

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A loaded graph with its logits (n, labels) of the rows, which end in [SEP]."""

    pack: Pack
    batches: Batches
    rows: Sequence[Row]
    logits: Logits

    @classmethod
    def scored(cls, pack: Pack, rows: Sequence[Row]) -> Self:
        """Load the graph and score the rows."""
        batches = load_batches(pack, rows[0][-1])
        return cls(pack, batches, rows, score(batches, rows, pack.precision))

    @cached_property
    def invariant(self) -> bool:
        """Return whether a text's logits are the same in any batch. Slow, so computed on first use."""
        return batch_invariant(self.batches, self.rows)

    @property
    def graph_bytes(self) -> int:
        """Return the size of the graph's files."""
        return sum(self.pack.path(name).stat().st_size for name in ("model.xml", "model.bin"))

    def accuracy(self, labels: NDArray[np.int64]) -> float:
        """Return the share of rows that the graph labels with the numbers `labels` (n,)."""
        return float(np.mean(predicted(self.logits) == labels))

    def macro_f1(self, labels: NDArray[np.int64]) -> float:
        """Return the mean of the labels' F1 scores against the label numbers (n,)."""
        return float(f1_scores(confusion_matrix(labels, predicted(self.logits), self.logits.shape[1])).mean())


def select_pack(
    exact: Pack, quantised: Pack, rows: Sequence[Row], labels: Sequence[int], min_agreement: float
) -> Pack:
    """Return the pack to serve with its measures: int8 if it agrees with fp32 and is batch-invariant.

    `labels`, a number for each row or none, add accuracy, macro F1, temperature and `uncertain_below`.
    """
    logger.info("measuring both graphs on %d texts", len(rows))
    fp32, int8 = Candidate.scored(exact, rows), Candidate.scored(quantised, rows)
    drift = measure_drift(fp32.logits, int8.logits)
    precision, reason = select_precision(drift, int8, min_agreement)
    selected = int8 if precision == "int8" else fp32
    pack, measured = selected.pack, _compared(fp32, int8, drift) | {"batch_invariant": selected.invariant}
    if labels:
        truth = np.array(labels, np.int64)
        measured |= {"dev_accuracy_fp32": fp32.accuracy(truth), "dev_accuracy_int8": int8.accuracy(truth)}
        measured |= {"dev_accuracy": selected.accuracy(truth), "dev_macro_f1": selected.macro_f1(truth)}
        pack = _calibrated(pack, selected.logits, truth)
    rounded = {name: _rounded(value) for name, value in measured.items()}
    return replace(pack, reason=reason, measured=rounded)


def _compared(fp32: Candidate, int8: Candidate, drift: Drift) -> dict[str, float]:
    return {
        "texts": len(fp32.rows),
        "agreement_with_fp32": drift.agreement,
        "mean_probability_drift": drift.mean,
        "max_probability_drift": drift.max,
        "fp32_bytes": fp32.graph_bytes,
        "int8_bytes": int8.graph_bytes,
        "speed_ratio": speed_ratio(fp32.batches, int8.batches, fp32.rows),
    }


def select_precision(drift: Drift, quantised: Candidate, min_agreement: float) -> tuple[str, str]:
    """Return the precision to serve, `int8` or `fp32`, and the reason."""
    share = f"{drift.agreement:.2%} of {len(quantised.logits)} texts"
    if drift.agreement < min_agreement:
        return "fp32", f"int8 agrees with fp32 on only {share}, and {min_agreement:.2%} is required"
    if not quantised.invariant:
        return "fp32", "int8 depends on the batch: a text alone has other logits"
    return "int8", f"int8 agrees with fp32 on {share}"


def _calibrated(pack: Pack, logits: Logits, labels: NDArray[np.int64]) -> Pack:
    temperature = fit_temperature(logits, labels)
    confidence = softmax(logits, temperature).max(axis=1)
    correct = predicted(logits) == labels
    uncertain_below = fit_uncertain_below(confidence, correct, 1 / logits.shape[1])
    return replace(pack, temperature=temperature, uncertain_below=uncertain_below)


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, DIGITS)
