"""The trial: both graphs over the same texts, and which of them the pack will serve."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from worker.packing.calibration import find_uncertain_below, fit_temperature
from worker.packing.measure import (
    Drift,
    Logits,
    batch_invariant,
    drift,
    load_batches,
    positive,
    score,
    speed_ratio,
)
from worker.packs.pack import Pack
from worker.scoring.batches import Batches, Row

DIGITS = 6

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """One graph, loaded, and the logits that it answered to the rows (n,)."""

    pack: Pack
    batches: Batches
    rows: Sequence[Row]
    logits: Logits

    @classmethod
    def tried(cls, pack: Pack, rows: Sequence[Row]) -> Self:
        """Load the graph and score the rows."""
        batches = load_batches(pack)
        return cls(pack, batches, rows, score(batches, rows, pack.precision))

    @cached_property
    def invariant(self) -> bool:
        """Whether a text's neighbours leave its answer alone; found out when asked, for it takes its time."""
        return batch_invariant(self.batches, self.rows)

    @property
    def graph_bytes(self) -> int:
        """Size of the graph's files."""
        return sum(self.pack.path(name).stat().st_size for name in ("model.xml", "model.bin"))

    def accuracy(self, labels: NDArray[np.int64]) -> float:
        """Share of rows with their label (1 = positive)."""
        return float(np.mean((self.logits >= 0) == (labels == 1)))


def choose(
    exact: Pack, quantised: Pack, rows: Sequence[Row], labels: Sequence[int], min_agreement: float
) -> Pack:
    """The pack to serve, measured: int8 unless it strays from fp32, or a text's neighbours change its answer.

    `labels` (1 = positive), one a row or none, also give accuracy, temperature and `uncertain_below`.
    """
    logger.info("measuring both graphs on %d texts", len(rows))
    fp32, int8 = Candidate.tried(exact, rows), Candidate.tried(quantised, rows)
    apart = drift(fp32.logits, int8.logits)
    precision, reason = judge(apart, int8, min_agreement)
    chosen = int8 if precision == "int8" else fp32
    pack, measured = chosen.pack, _compared(fp32, int8, apart) | {"batch_invariant": chosen.invariant}
    if labels:
        truth = np.array(labels, np.int64)
        measured |= {"dev_accuracy_fp32": fp32.accuracy(truth), "dev_accuracy_int8": int8.accuracy(truth)}
        measured["dev_accuracy"] = chosen.accuracy(truth)
        pack = _calibrated(pack, chosen.logits, truth)
    rounded = {name: _rounded(value) for name, value in measured.items()}
    return replace(pack, reason=reason, measured=rounded)


def _compared(fp32: Candidate, int8: Candidate, apart: Drift) -> dict[str, float]:
    return {
        "texts": len(fp32.rows),
        "agreement_with_fp32": apart.agreement,
        "mean_probability_drift": apart.mean,
        "max_probability_drift": apart.most,
        "fp32_bytes": fp32.graph_bytes,
        "int8_bytes": int8.graph_bytes,
        "speed_ratio": speed_ratio(fp32.batches, int8.batches, fp32.rows),
    }


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
