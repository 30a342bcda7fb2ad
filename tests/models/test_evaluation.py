"""The int8 graph is served if it agrees with fp32 and is batch-invariant, else the fp32 graph."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")
pytest.importorskip("tqdm")

from local.processes import ROOT
from worker.engines.engine import Tokens
from worker.packing.comparison import (
    Drift,
    batch_invariant,
    encode,
    load_batches,
    measure_drift,
    positive,
)
from worker.packing.evaluation import Candidate, select_precision
from worker.packs.pack import load_pack
from worker.scoring.batches import Batches

EMBEDDED = ROOT / "models" / "embedded"
ROWS = [[2, *range(5, 5 + length), 3] for length in range(1, 12)] * 3


class BatchDependent:
    """An engine that scales by the largest value of its batch, as dynamic quantisation does."""

    batch_tokens = 1_024

    def logits(self, ids: Tokens, mask: Tokens, _segments: Tokens | None = None) -> NDArray[np.float32]:
        sums = (ids * mask).sum(1).astype(np.float32)
        return np.stack([-sums, sums / sums.max()], 1)


def candidate(*, invariant: bool) -> Candidate:
    pack = load_pack(EMBEDDED)
    dependent = Batches(BatchDependent(), labels=2, max_tokens=32, batch_tokens=1_024)
    return Candidate(pack, load_batches(pack) if invariant else dependent, ROWS, np.zeros(4))


def test_a_graph_that_depends_on_the_batch_is_detected() -> None:
    assert not batch_invariant(Batches(BatchDependent(), labels=2, max_tokens=32, batch_tokens=1_024), ROWS)


def test_the_embedded_graph_is_batch_invariant() -> None:
    assert batch_invariant(load_batches(load_pack(EMBEDDED)), ROWS)


def test_int8_is_served_when_it_agrees_and_is_batch_invariant() -> None:
    assert select_precision(Drift(0.99, 0.0, 0.0), candidate(invariant=True), 0.99) == (
        "int8",
        "int8 agrees with fp32 on 99.00% of 4 texts",
    )


@pytest.mark.parametrize(
    ("agreement", "invariant", "cause"),
    [
        (0.9899, True, "only 98.99% of 4 texts, and 99.00% is required"),
        (1.0, False, "a text alone has another logit"),
    ],
)
def test_fp32_is_served_otherwise(*, agreement: float, invariant: bool, cause: str) -> None:
    drift = Drift(agreement, 0.0, 0.0)
    precision, reason = select_precision(drift, candidate(invariant=invariant), 0.99)
    assert precision == "fp32"
    assert reason.endswith(cause)


def test_drift_is_measured_in_labels_and_probabilities() -> None:
    drift = measure_drift(np.array([0.0, 2.0, -1.0]), np.array([-0.1, 2.0, -1.0]))
    assert drift.agreement == pytest.approx(2 / 3)
    assert drift.max == pytest.approx(0.5 - 1 / (1 + np.exp(0.1)))
    assert drift.mean == pytest.approx(drift.max / 3)
    assert positive(np.array([2.0]), 2.0)[0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_long_texts_are_cut_and_keep_their_end() -> None:
    (row,) = encode(["好" * 50], EMBEDDED / "vocab.txt", 10)
    whole = encode(["好"], EMBEDDED / "vocab.txt", 10)[0]
    assert len(row) == 10
    assert (row[0], row[-1]) == (whole[0], whole[-1])
