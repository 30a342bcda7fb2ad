"""The int8 graph is served if it agrees with fp32 and is batch-invariant, else the fp32 graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn")
pytest.importorskip("tqdm")

from local.processes import ROOT
from samples.shipped import read_reviews
from tasks.vocabulary.labels import LabelSet
from tests.random_packs import SEVEN, THREE, TWO, write_random_pack
from worker.engines.engine import Tokens
from worker.packing.comparison import (
    Drift,
    batch_invariant,
    load_batches,
    measure_drift,
    predicted,
    softmax,
)
from worker.packing.evaluation import Candidate, select_precision
from worker.packing.inputs import as_inputs, encode, joined
from worker.packs.pack import Input, load_pack
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
    return Candidate(pack, load_batches(pack, 3) if invariant else dependent, ROWS, np.zeros((4, 2)))


def test_a_graph_that_depends_on_the_batch_is_detected() -> None:
    assert not batch_invariant(Batches(BatchDependent(), labels=2, max_tokens=32, batch_tokens=1_024), ROWS)


def test_the_embedded_graph_is_batch_invariant() -> None:
    assert batch_invariant(load_batches(load_pack(EMBEDDED), 3), ROWS)


def test_int8_is_served_when_it_agrees_and_is_batch_invariant() -> None:
    assert select_precision(Drift(0.99, 0.0, 0.0), candidate(invariant=True), 0.99) == (
        "int8",
        "int8 agrees with fp32 on 99.00% of 4 texts",
    )


@pytest.mark.parametrize(
    ("agreement", "invariant", "cause"),
    [
        (0.9899, True, "only 98.99% of 4 texts, and 99.00% is required"),
        (1.0, False, "a text alone has other logits"),
    ],
)
def test_fp32_is_served_otherwise(*, agreement: float, invariant: bool, cause: str) -> None:
    drift = Drift(agreement, 0.0, 0.0)
    precision, reason = select_precision(drift, candidate(invariant=invariant), 0.99)
    assert precision == "fp32"
    assert reason.endswith(cause)


def test_drift_is_measured_in_labels_and_probabilities() -> None:
    one, other = (np.array([[0.0, first], [0.0, 2.0], [1.0, 0.0]]) for first in (0.0, -0.1))
    drift = measure_drift(one, other)
    assert drift.agreement == pytest.approx(2 / 3)
    assert drift.max == pytest.approx(0.5 - 1 / (1 + np.exp(0.1)))
    assert drift.mean == pytest.approx(drift.max / 3)


def test_drift_is_that_of_the_label_that_moved_the_most() -> None:
    moved = measure_drift(np.log([[0.2, 0.5, 0.3]]), np.log([[0.3, 0.3, 0.4]]))
    assert (moved.agreement, moved.max, moved.mean) == pytest.approx((0, 0.2, 0.2))


def test_probabilities_are_a_softmax_that_no_logit_overflows() -> None:
    assert softmax(np.array([[0.0, 2.0]]), 2.0)[0, 1] == pytest.approx(1 / (1 + np.exp(-1)))
    assert softmax(np.array([[1e4, 0.0, -1e4]])).tolist() == [[1, 0, 0]]


def test_a_tie_is_the_last_of_its_labels() -> None:
    assert predicted(np.array([[1.0, 1.0], [2.0, 1.0], [0.0, 0.0]])).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("labels", "reads"), [(TWO, "text"), (THREE, "text"), (SEVEN, "text"), (THREE, "pair")]
)
def test_any_labels_are_batch_invariant(tmp_path: Path, labels: LabelSet, reads: Input) -> None:
    pack = write_random_pack(tmp_path / "pack", labels, reads)
    texts = as_inputs([review.text for review in read_reviews()][:70], reads)
    rows = encode(texts, pack.path("vocab.txt"), pack.max_tokens)
    batches = load_batches(pack, rows[0][-1])
    assert batch_invariant(batches, rows)
    assert len(set(predicted(batches.logits(rows)).tolist())) >= min(len(labels), 4)


def test_long_texts_are_cut_and_keep_their_end() -> None:
    (row,) = encode(["好" * 50], EMBEDDED / "vocab.txt", 10)
    whole = encode(["好"], EMBEDDED / "vocab.txt", 10)[0]
    assert len(row) == 10
    assert (row[0], row[-1]) == (whole[0], whole[-1])


def test_of_a_pair_the_text_is_cut() -> None:
    vocabulary = EMBEDDED / "vocab.txt"
    ((cls, taste, end), (_, good, _)) = encode(["味", "好"], vocabulary, 10)
    assert encode([("味", "好" * 50)], vocabulary, 6) == [[cls, taste, end, good, good, end]]
    assert encode([("味" * 50, "好")], vocabulary, 6) == [[cls, taste, taste, end, good, end]]


def test_a_special_token_in_a_pair_is_plain_text() -> None:
    (row,) = encode([("味", "好[SEP]")], EMBEDDED / "vocab.txt", 20)
    assert row.count(row[-1]) == 2


def test_lines_of_pairs_name_their_aspect_or_get_one() -> None:
    assert as_inputs(["味道\t好吃", "便宜"], "pair") == [("味道", "好吃"), ("服务", "便宜")]
    assert as_inputs(["味道\t好吃"], "text") == ["味道\t好吃"]


def test_pairs_are_joined_behind_the_aspect_of_the_first() -> None:
    pairs = [[2, 10, 3, 20, 3], [2, 11, 3, 21, 22, 3], [2, 12, 3, 23, 3]]
    assert joined(pairs, 7, "pair") == [[2, 10, 3, 20, 21, 22, 3], [2, 12, 3, 23, 3]]
